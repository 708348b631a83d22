"""How much is read in one turn of the event loop, when a thousand callers come at the same instant."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from functools import partial

import pytest

from runner.http.read_in_turns import BYTES_A_REQUEST, MOST_UNREAD_BYTES, ReadInTurns
from runner.http.turns import MOST, Turns
from tests.http.conftest import Service
from tests.http.raw import HOST, connected

GET = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
CALLERS = 5 * MOST
POST = b"POST /v1/jobs HTTP/1.1\r\nContent-Type: application/json\r\n" + HOST


class Reads:
    """How many requests' worth was read in each turn, and by whom."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.turns = [0]
        begin_turn, read = Turns._next, ReadInTurns._read

        def next_turn(turns: Turns) -> None:
            self.turns.append(0)
            begin_turn(turns)

        def count(connection: ReadInTurns, data: bytes) -> None:
            self.turns[-1] += 1
            read(connection, data)

        monkeypatch.setattr(Turns, "_next", next_turn)
        monkeypatch.setattr(ReadInTurns, "_read", count)


async def test_what_a_turn_has_no_room_for_has_its_turn_later_and_known_callers_have_theirs_first() -> None:
    turns, begun = Turns(), list[str]()
    for number in range(MOST + 2):
        turns.begin(partial(begun.append, f"stranger {number}"), is_known=False)
    turns.begin(partial(begun.append, "known"), is_known=True)
    assert begun == [f"stranger {number}" for number in range(MOST)]
    await asyncio.sleep(0)
    assert begun[MOST:] == ["known", f"stranger {MOST}", f"stranger {MOST + 1}"]


async def test_what_was_more_work_than_a_request_leaves_less_room_for_others() -> None:
    turns, begun = Turns(), Counter[int]()

    def begin(number: int) -> None:
        begun.update([number])
        turns.charge(MOST)

    for number in range(3 * MOST):
        turns.begin(partial(begin, number), is_known=False)
    for turn in range(3 * MOST):
        assert begun.total() == turn + 1
        await asyncio.sleep(0)


async def test_of_requests_that_come_at_the_same_instant_few_are_read_in_one_turn(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(connected(service.url)) for _ in range(CALLERS)]
        reads = Reads(monkeypatch)
        for _ in range(2):
            for caller in callers:
                caller.send(GET)
            for caller in callers:
                assert await caller.status() == 200
                await caller.reader.readuntil(b'{"status":"ok"}')
    assert sum(reads.turns) == 2 * CALLERS
    assert max(reads.turns) <= MOST


async def test_a_request_of_many_packets_that_wait_for_their_turn_is_read_in_order(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing has room: each turn reads one packet, and a socket gives no more than may wait."""
    monkeypatch.setattr("runner.http.turns.MOST", 1)
    body = b'{"task": "echo", "args": {"value": "%b"}}' % (b"0123456789" * 50_000)
    async with connected(service.url) as other, connected(service.url) as raw:
        raw.send(POST + b"Content-Length: %d\r\n\r\n" % len(body))
        for begin in range(0, len(body), MOST_UNREAD_BYTES + 1):
            raw.send(body[begin : begin + MOST_UNREAD_BYTES + 1])
            other.send(GET)
            await raw.writer.drain()
        raw.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        answers = await raw.rest()
        assert await other.status() == 200
    assert answers.startswith(b"HTTP/1.1 202")
    assert b'{"status":"ok"}' in answers


async def test_a_caller_that_leaves_before_its_turn_leaves_nothing_behind(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        async with AsyncExitStack() as stack:
            for caller in [await stack.enter_async_context(connected(service.url)) for _ in range(CALLERS)]:
                caller.send(GET)
            await asyncio.sleep(0)
        assert (await service.http.get("/healthz")).status_code == 200
    assert not caplog.records


def test_bytes_of_a_thousand_fields_count_as_several_requests() -> None:
    assert BYTES_A_REQUEST * MOST <= 2 * MOST_UNREAD_BYTES
