"""The guards of a campaign's accounts of jobs, tokens and takers: each must be able to fail."""

from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from runner.connection.client import command
from tests.chaos.campaign import ledger
from tests.chaos.campaign.books import Books
from tests.chaos.campaign.branch.app import BRANCH
from tests.chaos.campaign.branch.contract import CONTRACT, LEASE_US, over_contract, spells_of, used
from tests.chaos.campaign.ledger import KEYS, Submitted
from tests.chaos.campaign.tokens import Spell
from tests.starts import Starts


async def test_the_accounts_of_jobs_that_ended_well_are_empty(books: Books) -> None:
    books.ledger.accepted.update(range(100))
    for number in range(100):
        await books.starts(number, "metered=1", 10_000_000 + number * 50_000)
        await books.ends(number)

    assert await books.findings() == {}


async def test_a_job_without_an_outcome_is_lost(books: Books) -> None:
    books.ledger.accepted.update({1, 2})
    await books.ends(1)

    assert await books.findings() == {"lost": ["job c2 was accepted and has not ended"]}


async def test_a_second_outcome_is_found_unless_somebody_retried_the_job(books: Books) -> None:
    for number in (1, 1, 2, 2):
        await books.ends(number)
    books.ledger.retried[2] += 1

    assert list(await books.findings()) == ["accepted twice"]


async def test_a_look_that_redis_breaks_off_counts_nothing_twice(books: Books, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    await books.ends(1)
    await books.ends(2, state="failed", error=("poison", "its worker was lost 3 times"))
    calls: list[str] = []

    async def broken_off(client: Redis, *words: str | int) -> Any:
        if words[0] == "HGET" and words[0] not in calls:
            calls.append("HGET")
            raise RedisConnectionError("gone")
        return await command(client, *words)

    monkeypatch.setattr(ledger, "command", broken_off)
    with pytest.raises(RedisConnectionError):
        await books.findings()

    assert await books.findings() == {}
    assert books.ledger.outcomes.total() == 2
    assert books.ledger.dead_letters.kinds == {"poison": 1}


async def test_an_attempt_that_is_begun_twice_is_found(books: Books) -> None:
    books.runs(1)
    books.runs(1)

    assert sorted(await books.findings()) == ["ran too often", "ran twice"]


async def test_a_run_more_than_failures_crashes_and_stops_explain_is_found(books: Books) -> None:
    books.runs(1)
    books.runs(1, what="S")
    books.runs(1, attempt=2)
    books.runs(2)
    books.runs(2, attempt=2)

    assert await books.findings() == {"ran too often": ["job c2 ran 2 times, 1 are accounted for"]}


async def test_starts_beyond_a_limit_are_found_if_their_runs_began(books: Books, redis: Redis) -> None:
    for number in range(23):  # 20 at once, and one more every 25 ms
        await books.starts(number, "metered=1", 10_000_000 + number)
    await redis.xadd(KEYS.starts, {"job": "c99", "limits": "metered=1", "attempt": 1, "now": 10_000_030})

    assert await books.findings() == {"over a limit": ["3 tokens of metered too many in some window"]}


async def test_what_takers_take_counts_in_the_bounds_whether_they_learnt_of_it_or_not(books: Books) -> None:
    for number in range(20):
        await books.starts(number, "metered=1", 10_000_000 + number)
    await books.takes("take:a", "metered=2", 10_000_030)

    assert await books.findings() == {"over a limit": ["2 tokens of metered too many in some window"]}


@pytest.mark.parametrize("over_us", [1, 0])
async def test_a_slot_of_a_taker_is_taken_until_it_left_it_or_a_lease_has_passed(books: Books, over_us: int) -> None:
    for number in range(7):
        await books.takes(f"take:{number}", "slots=1!", 10_000_000)
        books.told("held", f"take:{number}", 19_000_000)
    await books.takes("take:left", "slots=1!", 10_000_000)
    await books.takes("take:other", "slots=1!", 10_000_011 - 2 * over_us)
    await books.takes("take:later", "slots=4!", 14_000_001 - 2 * over_us)
    for ticket, until_us in (("left", 10_000_010), ("other", 10_000_020), ("later", 15_000_000)):
        books.told("held", f"take:{ticket}", until_us)

    excess = ["3 tokens of slots too many in some window"] if over_us else []
    assert (await books.findings()).get("over a limit", []) == excess


async def test_a_taker_that_was_told_to_go_without_tokens_is_found(books: Books) -> None:
    await books.takes("take:a", "metered=1", 10_000_000)
    books.told("taken", "take:a", 0.5)
    books.told("taken", "take:b", 0.5)

    assert await books.findings() == {"taken without tokens": ["take:b was told to go"]}


async def test_a_taker_that_waits_as_long_as_it_takes_may_not_be_refused(books: Books) -> None:
    books.told("refused", 3.0)
    books.told("refused", None)

    assert await books.findings() == {"refused": ["1 takers that would wait as long as it takes"]}


async def test_a_job_that_waits_for_a_minute_is_found_unless_its_priority_is_low(books: Books) -> None:
    for number, waited_s, priority in ((1, 59, "normal"), (2, 61, "normal"), (3, 61, "low")):
        books.ledger.submitted[number] = Submitted("paired", priority, 1_000_000)
        await books.starts(number, "windowed=1;stepped=1", 1_000_000 + waited_s * 1_000_000)

    assert await books.findings() == {"starved": ["job c2 (normal paired) waited 61.0 s for its first start"]}


async def test_starts_beyond_what_was_permitted_for_a_while_are_found(books: Books) -> None:
    for number in range(3):
        await books.starts(number, "metered=1", 10_000_000 + number * 100_000)
    books.ledger.tokens.spells.append(Spell("metered", 10_000_000, 10_150_000, most=1))

    assert list(await books.findings()) == ["over a limit"]


def starts_at(first_us: int, count: int) -> Starts:
    """So many of one token, a microsecond after one another."""
    starts = Starts()
    starts.at_us += range(first_us, first_us + count)
    starts.costs, starts.ends_us = [1] * count, list(starts.at_us)
    return starts


def test_what_two_queues_take_together_is_held_against_the_limit_that_they_share() -> None:
    half, more = CONTRACT.capacity // 2, CONTRACT.capacity // 2 + 1

    assert over_contract([starts_at(10_000_000, half), starts_at(10_000_002, half)], []) == []
    assert over_contract([starts_at(10_000_000, half), starts_at(10_000_002, more)], []) == [
        "1 tokens of contract of all queues together too many in some window"
    ]
    assert used([starts_at(10_000_000, half), starts_at(10_000_002, half)]) == 1.0
    assert used([Starts(), Starts()]) == 0.0


@pytest.mark.parametrize(
    ("at_us", "count", "is_found"), [(10, 8, False), (10, 9, True), (LEASE_US + 10, 1, True), (LEASE_US - 10, 1, False)]
)
def test_while_a_shared_limit_is_paused_what_was_in_hand_may_start_for_a_lease(at_us: int, count: int, *, is_found: bool) -> None:
    spells = spells_of(0, LEASE_US + 1_000_000, 0)

    assert bool(over_contract([starts_at(at_us, count // 2), starts_at(at_us, count - count // 2)], spells)) is is_found


async def test_the_accounts_of_the_branch_are_those_of_its_own_queue(books: Books, redis: Redis, tmp_path: Path) -> None:
    branch = Books(redis, tmp_path / BRANCH, BRANCH)
    branch.folder.mkdir()
    for own in (books, branch):
        own.ledger.accepted.update({1, 2})
        await own.starts(1, "contract=2", 10_000_000)
        await own.ends(1)
    await books.starts(2, "contract=1", 10_000_001)
    await books.ends(2)

    assert await books.findings() == {}
    assert await branch.findings() == {"lost": ["job c2 was accepted and has not ended"]}
    assert (books.ledger.starts_under("contract").costs, branch.ledger.starts_under("contract").costs) == ([2, 1], [2])
    await redis.delete(branch.ledger.keys.starts, branch.ledger.keys.history)
