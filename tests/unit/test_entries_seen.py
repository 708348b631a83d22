"""Recovery: which entries of a read the claim that was sent with it has skipped."""

from collections.abc import AsyncIterator

import pytest

from runner import Settings
from runner.jobs import StartedJob
from runner.store import Claimed, Claims
from runner.worker.active_jobs import ActiveJobs
from runner.worker.recovery import Recovery


@pytest.fixture
async def recovery() -> AsyncIterator[Recovery]:
    store = Claims("redis://127.0.0.1:1", "seen", Settings())  # never asked
    yield Recovery(store, "w", ActiveJobs(2))
    await store.close()


def latest(recovery: Recovery) -> list[bytes]:
    return [entry for _, entry in recovery.last_seen()]


async def test_ids_are_compared_as_numbers_and_each_stream_by_itself(recovery: Recovery) -> None:
    recovery.note_read([(1, b"9-1", b"a"), (1, b"10-0", b"b"), (0, b"5-10", b"c"), (0, b"5-9", b"d")], recovery.last_seen())

    assert latest(recovery) == [b"5-10", b"10-0", b"0-0"]
    assert recovery.take_redelivered() == []


async def test_entries_that_are_not_newer_than_what_the_claim_was_sent_with_are_claimed_explicitly(recovery: Recovery) -> None:
    recovery.note_read([(1, b"9-1", b"a"), (1, b"10-0", b"b")], recovery.last_seen())
    recovery.note_read([(1, b"9-1", b"a"), (1, b"10-0", b"b"), (1, b"10-1", b"c")], recovery.last_seen())

    assert recovery.take_redelivered() == [(1, b"9-1", b"a"), (1, b"10-0", b"b")]
    assert recovery.take_redelivered() == []
    assert latest(recovery)[1] == b"10-1"


async def test_what_a_claim_started_and_its_suspect_have_been_seen(recovery: Recovery) -> None:
    suspect = (0, b"6-0", b"s")
    claimed = Claimed([StartedJob(2, b"7-7", "x", "work", b"{}", 1, 0)], -1, 0, suspect)
    for _ in range(2):
        recovery.note_claimed(claimed)

    assert latest(recovery) == [b"6-0", b"0-0", b"7-7"]
    assert recovery.suspects == [suspect]
