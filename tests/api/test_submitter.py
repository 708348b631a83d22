"""How requests share calls: what is sent together, and what each learns when a call fails. With a client of its own, without Redis."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from api.submitter import Submitter
from runner import Client, JobHandle, StoreUnavailable, Submission
from tests.eventually import eventually

PATIENCE_S = 5.0


class Recorder:
    """Stands in for the client: notes each call, and answers when told."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.answers: asyncio.Queue[Exception | None] = asyncio.Queue()

    async def send_apart(self, jobs: Sequence[Submission]) -> list[JobHandle[Any]]:
        self.calls.append([job.id for job in jobs])
        if (error := await self.answers.get()) is not None:
            raise error
        return [JobHandle(cast("Client", self), job.id, f"state of {job.id}") for job in jobs]


@pytest.fixture
def client() -> Recorder:
    return Recorder()


@pytest.fixture
def submitter(client: Recorder) -> Submitter:
    return Submitter(cast("Client", client))


def start(submitter: Submitter, *ids: str, size: int = 2) -> list[asyncio.Task[JobHandle[object]]]:
    return [asyncio.create_task(submitter.submit(Submission(job_id, "task", b"x" * size))) for job_id in ids]


async def sent(client: Recorder, calls: int) -> None:
    await eventually(lambda: len(client.calls) == calls)


async def queued(submitter: Submitter, jobs: int) -> None:
    await eventually(lambda: len(submitter._waiting) == jobs)


async def test_what_comes_while_a_call_is_under_way_goes_together_in_the_next(client: Recorder, submitter: Submitter) -> None:
    first = start(submitter, "a")
    await sent(client, 1)
    later = start(submitter, "b", "c", "d")
    await queued(submitter, 3)
    client.answers.put_nowait(None)
    client.answers.put_nowait(None)
    handles = await asyncio.gather(*first, *later)
    assert client.calls == [["a"], ["b", "c", "d"]]
    assert [(handle.id, handle.first_state) for handle in handles] == [(name, f"state of {name}") for name in "abcd"]
    await submitter.close()


async def test_a_call_is_bounded_in_jobs_and_in_bytes(client: Recorder, submitter: Submitter) -> None:
    for _ in range(6):
        client.answers.put_nowait(None)
    await asyncio.gather(*start(submitter, *(f"n{number}" for number in range(501))))
    await asyncio.gather(*start(submitter, "a", "b", "c", size=600_000), *start(submitter, "huge", size=2_000_000))
    assert [len(call) for call in client.calls] == [500, 1, 1, 1, 1, 1]


async def test_when_the_store_is_away_nobody_waits_for_a_second_time_out(client: Recorder, submitter: Submitter) -> None:
    first = start(submitter, "a")
    await sent(client, 1)
    behind = start(submitter, "b")
    await queued(submitter, 1)
    client.answers.put_nowait(StoreUnavailable("away"))
    async with asyncio.timeout(PATIENCE_S):
        errors = await asyncio.gather(*first, *behind, return_exceptions=True)
    assert [type(error) for error in errors] == [StoreUnavailable] * 2
    assert client.calls == [["a"]]
    again = start(submitter, "c")
    client.answers.put_nowait(None)
    assert (await again[0]).id == "c"


async def test_another_error_reaches_its_own_call_alone(client: Recorder, submitter: Submitter) -> None:
    first = start(submitter, "a")
    await sent(client, 1)
    behind = start(submitter, "b")
    await queued(submitter, 1)
    client.answers.put_nowait(RuntimeError("broken"))
    client.answers.put_nowait(None)
    with pytest.raises(RuntimeError, match="broken"):
        await asyncio.wait_for(first[0], PATIENCE_S)
    assert (await behind[0]).id == "b"


async def test_a_request_that_is_given_up_does_not_stop_the_others(client: Recorder, submitter: Submitter) -> None:
    requests = start(submitter, "a", "b")
    await sent(client, 1)
    requests[0].cancel()
    client.answers.put_nowait(None)
    assert (await requests[1]).id == "b"
    assert requests[0].cancelled()
