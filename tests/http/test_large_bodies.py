"""Large bodies, many at once: they are read in a thread, share the memory that there is for them, and the slow ones make room."""

import asyncio
import json
from contextlib import AsyncExitStack

import pytest

from runner.http import large_bodies
from runner.http.strict_json import MAX_VALUES
from tests.eventually import eventually
from tests.http.conftest import Service
from tests.http.raw import HOST, Raw, connected

LARGE = 200_000


async def begin(stack: AsyncExitStack, service: Service, sent: int) -> Raw:
    """A submission of which so many bytes come, and the rest does not."""
    raw = await stack.enter_async_context(connected(service.url))
    head = b"POST /v1/jobs HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (sent + 9)
    raw.send(head + b" " * sent)
    await raw.writer.drain()
    return raw


async def test_a_body_that_does_not_come_makes_room_for_another(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_bodies, "MOST_BYTES", 2 * LARGE)
    async with AsyncExitStack() as stack:
        slow = [await begin(stack, service, LARGE) for _ in range(10)]
        await service.submit("echo", args={"value": "x" * LARGE})
        answers = [asyncio.ensure_future(raw.status()) for raw in slow]
        await asyncio.wait(answers, timeout=0.2)
        assert {answer.result() for answer in answers if answer.done()} == {503}
        assert sum(answer.done() for answer in answers) >= 8
        for answer in answers:
            answer.cancel()
        await asyncio.gather(*answers, return_exceptions=True)
    await eventually(lambda: large_bodies.here()._bytes == 0)


async def test_small_bodies_need_no_room(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_bodies, "MOST_BYTES", 0)
    assert (await service.http.post("/v1/jobs", json={"task": "echo", "args": {"value": "x" * LARGE}})).status_code == 503
    await service.submit("echo", args={"value": "x"})
    assert large_bodies.here()._bytes == 0


async def test_many_large_bodies_at_once_are_all_served_and_give_everything_back(service: Service) -> None:
    ids = await asyncio.gather(*(service.submit("echo", args={"value": "x" * LARGE}) for _ in range(20)))
    assert len(set(ids)) == 20
    bad = json.dumps({"task": "nothing", "args": {"value": "x" * LARGE}})
    answers = await asyncio.gather(
        *(service.http.post("/v1/jobs", content=bad, headers={"content-type": "application/json"}) for _ in range(20))
    )
    assert {answer.status_code for answer in answers} == {422}
    here = large_bodies.here()
    assert (here._bytes, here._all, here._turns._value) == (0, {}, large_bodies.MOST_AT_ONCE)


async def test_too_many_values_are_refused(service: Service) -> None:
    body = b'{"task": "echo", "args": {"value": [' + b"{}," * MAX_VALUES + b"{}]}}"
    answer = await service.http.post("/v1/jobs", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/too-many-values")
