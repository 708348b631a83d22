"""What happens is counted by minute, task and limit, moved once to the series it belongs to, and read as often as one likes."""

from typing import Any

import pytest

from runner.connection.client import command
from runner.jobs import Pausable
from runner.jobs.history import HistoryStep, row_of, rows_of
from runner.jobs.job import Ending, Outcome
from runner.store.claims import ClaimRequest, Declined
from runner.store.job_store import JobStore
from tests.store.builders import START_US, Clock, claim, end, enlist, finish_all, interval, job, jobs, make_store, publish

HOUR = START_US // 3_600_000_000
MINUTE = START_US // 60_000_000


def digits(number: int) -> str:
    """Of all pairs of digits one."""
    each = "0123456789abcdefghijklmnopqrstuv"
    return each[number // 32 % 32] + each[number % 32]


async def counted(store: JobStore) -> dict[int, dict[str, int]]:
    """What waits for the leader, by minute."""
    found = {}
    for minute in await command(store.redis, "ZRANGE", store.keys.counts, 0, -1):
        flat = await command(store.redis, "HGETALL", store.keys.minute(int(minute)))
        found[int(minute)] = {name.decode(): int(number) for name, number in zip(flat[::2], flat[1::2], strict=True)}
    return found


async def roll_all(store: JobStore) -> int:
    moved = 0
    while True:
        rolled = await store.roll()
        moved += rolled.moved
        if not rolled.more:
            return moved


async def sums(store: JobStore, name: str = "q", hours: int = 2) -> dict[str, int]:
    """Every letter of a series, over hours from the start on."""
    kept = await store.history([name], HOUR - 1, HOUR + hours, by_minute=False)
    total: dict[str, int] = {}
    for cells in kept.rows[name].values():
        for what, number in cells.items():
            if len(what) == 1:
                total[what] = total.get(what, 0) + number
    return total


async def test_a_job_is_counted_as_it_comes_and_as_it_ends_with_how_long_it_waited_and_ran(store: JobStore, clock: Clock) -> None:
    await store.submit(jobs(3))
    clock.advance(0.003)
    started = await claim(store)
    clock.advance(0.1)
    await finish_all(store, started)

    assert await counted(store) == {MINUTE: {"t:work|u": 3, "t:work|s27": 3}}  # 3 ms are halved twice, 100 ms seven times
    (row,) = rows_of((await store.history(["q"], HOUR, HOUR, by_minute=True)).rows["q"], HistoryStep.minute, 0, 1e12)
    assert (row.submitted, row.succeeded, row.ended, row.waited.count) == (3, 3, 3, 3)
    assert 0.064 <= (row.ran.percentile(0.5) or 0) <= 0.128
    assert 0.002 <= (row.waited.percentile(0.99) or 0) <= 0.004


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        (Ending.failed, {"f": 1, "f00": 1}),
        (Ending.cancelled, {"c": 1, "c00": 1}),
        (Ending.retry, {"r": 1, "r00": 1}),
        (Ending.returned, {}),
        (Ending.refused, {"f": 1, "f00": 1}),
    ],
)
async def test_every_end_of_an_attempt_has_its_letter(store: JobStore, ending: Ending, expected: dict[str, int]) -> None:
    await store.submit([job()])
    (started,) = await claim(store)

    await end(store, started, ending, delay=5)

    kept = await store.history(["t:work"], HOUR, HOUR, by_minute=False)
    assert kept.rows["t:work"] == {HOUR * 60: {"u": 1, **expected}}


async def test_what_ends_without_an_attempt_is_counted_too(store: JobStore, clock: Clock) -> None:
    await store.submit([job("a"), job("b", max_wait=1), job("c", max_wait=1, on_expiry="fail")])
    await store.cancel("a")
    clock.advance(2)
    await store.expire()

    assert await sums(store) == {"u": 3, "c": 1, "x": 1, "f": 1}


async def test_an_outcome_sent_twice_or_too_late_is_counted_once(store: JobStore) -> None:
    await store.submit([job()])
    await store.submit([job("again")])
    await store.submit([job("again")])
    first, second = await claim(store)
    await end(store, first)
    assert await end(store, first) == "repeated"
    assert await end(store, second, Ending.retry, delay=1) == "accepted"
    assert await end(store, second) == "stale"

    assert await sums(store) == {"u": 2, "d": 1, "s": 1, "r": 1}


async def test_limits_have_their_starts_their_waits_and_what_their_provider_threw_back(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", 2, 2, 1), interval("tenant", 5, 5, 1, key="{t}"))
    await store.submit(jobs(4, needs=["tenant/t7", "x"]))
    first = await claim(store)
    clock.advance(1)
    await store.refill()
    second = await claim(store)
    assert (len(first), len(second)) == (2, 2)
    await finish_all(store, [*first, second[0]])
    await end(store, second[1], Ending.throttled, freeze="x", delay=1)

    x = row_of(0, (await store.history(["l:x"], HOUR, HOUR, by_minute=False)).rows["l:x"][HOUR * 60])
    assert (x.started, x.throttled, x.waited.octaves) == (4, 1, {0: 2, 10: 1})
    assert (await sums(store, "l:tenant"))["t"] == 4  # by the limit's name, and by no key
    assert (await sums(store, "t:work"))["h"] == 1


async def test_tokens_taken_without_a_job_are_starts_of_the_limit_and_no_jobs(store: JobStore) -> None:
    await publish(store, interval("x", 2))
    await enlist(store, "w")
    assert (await store.take("take:1", "x=1", "1|x")).state == "taken"

    assert await counted(store) == {MINUTE: {"l:x|t": 1}}


async def test_a_wait_begins_when_a_delayed_or_retried_job_is_due(store: JobStore, clock: Clock) -> None:
    await store.submit([job(delay=3600)])
    clock.advance(3600 + 2)
    await store.promote()
    (started,) = await claim(store)
    await end(store, started, Ending.retry, delay=100)
    clock.advance(101)
    await store.promote()
    (started,) = await claim(store)
    await end(store, started)

    kept = await store.history(["t:work"], HOUR, HOUR + 1, by_minute=False)
    total = sum(kept.rows["t:work"].values(), type(kept.rows["t:work"][HOUR * 60])())
    assert row_of(0, total).waited.octaves == {11: 1, 10: 1}  # 2 s, and 1 s


async def _waits_after(store: JobStore, clock: Clock, what: str) -> None:
    """A job that has been there for 100 s, and waits anew, or still, from now on."""
    if what == "its parent ended":
        await store.submit([job("parent"), job("child").after_jobs(["parent"], "run")])
        (parent,) = await claim(store)
        clock.advance(100)
        await finish_all(store, [parent])
    elif what == "its task was paused":
        await store.submit([job("child")])
        await store.set_pause(Pausable.task, "work", "", 0)
        await claim(store)
        clock.advance(100)
        await store.end_pause(Pausable.task, "work")
        await store.unpause()
    elif what == "no worker served it":
        await store.submit([job("child")])
        (started,) = await claim(store)
        await store.finish("w", [Outcome(started, Ending.unknown, b"", 0, 60_000)])
        clock.advance(100)
        await store.enlist("v", "{}", ["t:work"])
        await store.unhold()
    elif what == "its worker had no slot for it":
        await store.submit([job("child")])
        clock.advance(100)
        await enlist(store, "w")
        (entry,) = (await store.claim("w", ClaimRequest(20, read_more=True, unserved="\nwork\n"))).unserved
        await store.decline("w", [Declined(entry, is_busy=True)])
        clock.advance(0.1)
        await store.promote()
    else:
        await store.submit([job("child")])
        (started,) = await claim(store)
        clock.advance(100)
        await end(store, started, Ending.returned)


@pytest.mark.parametrize(
    ("what", "waited_s"),
    [
        ("its parent ended", 1),
        ("its attempt was given back", 1),
        ("its task was paused", 101),
        ("no worker served it", 101),
        ("its worker had no slot for it", 101),
    ],
)
async def test_a_wait_begins_when_a_job_is_due_and_all_that_keeps_it_then_is_its_wait(
    store: JobStore, clock: Clock, what: str, waited_s: int
) -> None:
    await _waits_after(store, clock, what)
    clock.advance(1)
    (started,) = await claim(store)
    assert started.id == "child"
    await end(store, started)

    kept = await store.history(["t:work"], HOUR, HOUR + 1, by_minute=False)
    total = sum(kept.rows["t:work"].values(), type(kept.rows["t:work"][HOUR * 60])())
    octave = (waited_s * 1_000).bit_length()
    assert row_of(0, total).waited.octaves == {octave: 1} | ({0: 1} if what == "its parent ended" else {})


async def test_minutes_become_rows_and_rows_of_one_minute_add_up(store: JobStore, clock: Clock) -> None:
    for _ in range(3):
        await store.submit(jobs(2, f"{clock.now_us}-"))
        clock.advance(61)
    await roll_all(store)
    clock.now_us = START_US  # Redis's clock goes back: the same minute is counted once more
    await store.submit(jobs(5, "later", task="other"))
    clock.advance(600)
    assert await roll_all(store) == 1

    kept = await store.history(["q", "t:other"], HOUR, HOUR, by_minute=True)
    assert {at: cells["u"] for at, cells in kept.rows["q"].items()} == {MINUTE: 7, MINUTE + 1: 2, MINUTE + 2: 2}
    assert kept.rows["t:other"] == {MINUTE: {"u": 5}}
    assert await sums(store) == {"u": 11}
    assert await store.series() == ["q", "t:other", "t:work"]
    assert await counted(store) == {}


async def test_a_large_minute_is_moved_in_pages_by_two_leaders_at_once(store: JobStore, clock: Clock) -> None:
    for number in range(700):
        await command(store.redis, "HINCRBY", store.keys.minute(MINUTE), f"t:task{number % 90}|s{digits(number)}", number)
    await command(store.redis, "ZADD", store.keys.counts, MINUTE, MINUTE)
    clock.advance(60)
    pages = 0
    while (await store.roll()).more:
        pages += 1
        before = await sums(store, hours=1)
        assert before["s"] == sum(range(700))  # whatever of it was moved

    assert pages >= 1
    kept = await store.history([f"t:task{n}" for n in range(90)], HOUR, HOUR, by_minute=True)
    assert sum(cells["s"] for rows in kept.rows.values() for cells in rows.values()) == sum(range(700))


async def test_without_a_leader_a_reader_moves_what_waits(store: JobStore, clock: Clock) -> None:
    for minute in range(30):
        for number in range(100):
            await command(store.redis, "HINCRBY", store.keys.minute(MINUTE + minute), f"t:a|s{digits(number)}", 1)
        await command(store.redis, "ZADD", store.keys.counts, MINUTE + minute, MINUTE + minute)
    clock.advance(3000)

    kept = await store.history(["q"], HOUR, HOUR + 1, by_minute=False)

    assert (kept.missing, sum(cells["s"] for cells in kept.rows["q"].values())) == (0, 3000)


async def test_minutes_of_more_than_a_day_ago_and_hours_of_more_than_a_month_ago_go(store: JobStore, clock: Clock) -> None:
    for _ in range(3):
        await store.submit([job()])
        clock.advance(3600)
        await roll_all(store)
    clock.advance(30 * 3600)
    await store.submit([job()])
    clock.advance(60)
    await roll_all(store)

    fields = await command(store.redis, "HKEYS", store.keys.series("q"))
    last = clock.now_us // 3_600_000_000
    assert sorted(map(bytes.decode, fields)) == sorted([f"m{last}", *(f"h{hour}" for hour in (HOUR, HOUR + 1, HOUR + 2, last))])
    clock.advance(31 * 86_400)
    await store.submit([job()])
    clock.advance(60)
    await roll_all(store)
    assert len(await command(store.redis, "HKEYS", store.keys.series("q"))) == 2
    clock.advance(40 * 86_400)
    await store.submit([job(task="new")])
    clock.advance(60)
    await roll_all(store)
    assert await store.series() == ["q", "t:new"]


async def test_the_ends_of_the_last_day_are_exact_to_the_minute(store: JobStore, clock: Clock) -> None:
    expected = []
    for number in range(40):
        await store.submit(jobs(number % 4 + 1, f"{number}-"))
        started = await claim(store)
        await finish_all(store, started)
        expected.append((clock.now_us // 60_000_000, len(started)))
        clock.advance(2_700)
        if number % 3:
            await roll_all(store)
        present = clock.now_us // 60_000_000
        ended, left = await store.ended_in_a_day()
        assert (ended["succeeded"], left) == (sum(n for minute, n in expected if minute > present - 1440), 0)


async def test_damaged_keys_of_the_history_stop_no_job_and_no_leader(store: JobStore, clock: Clock) -> None:
    await command(store.redis, "SET", store.keys.minute(MINUTE), "x", "PX", 60_000)
    await store.submit(jobs(2))
    await finish_all(store, await claim(store))
    await command(store.redis, "ZADD", store.keys.counts, MINUTE, MINUTE)
    clock.advance(60)
    await command(store.redis, "SET", store.keys.series("t:work"), "x", "PX", 60_000)
    await store.submit(jobs(1, "more"))
    await command(store.redis, "HSET", store.keys.minute(MINUTE + 1), "odd", "x", "t:work|u", "y")
    clock.advance(60)

    assert (await store.history(["t:work", "q"], HOUR, HOUR, by_minute=True)).rows == {"t:work": {}, "q": {}}
    await roll_all(store)
    assert await counted(store) == {}


async def test_nothing_is_counted_where_the_history_is_turned_off(redis_url: str, queue: str, clock: Clock) -> None:
    store = make_store(redis_url, queue, clock, record_history=False)
    await publish(store, interval("x", 5))
    await store.submit([*jobs(2), *jobs(2, "limited", needs=["x"])])
    await finish_all(store, await claim(store))

    assert await counted(store) == {}
    await store.close()


async def test_what_is_moved_while_a_reader_turns_pages_is_in_its_answer_once(
    store: JobStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"t:task{n}" for n in range(40)]
    for name in names:
        await command(store.redis, "HINCRBY", store.keys.minute(MINUTE), f"{name}|u", 1)
    await command(store.redis, "ZADD", store.keys.counts, MINUTE, MINUTE)
    clock.advance(60)
    run, pages = store._run, 0

    async def run_and_roll(name: str, *words: Any, **told: Any) -> Any:
        nonlocal pages
        answer = await run(name, *words, **told)
        if name == "history":
            pages += 1
            await run("roll", most=500)
        return answer

    monkeypatch.setattr(store, "_run", run_and_roll)
    kept = await store.history(names, HOUR - 23, HOUR, by_minute=True)

    assert pages > 1
    assert kept.rows == {name: {MINUTE: {"u": 1}} for name in names}


async def test_how_many_wait_is_noted_once_a_minute_and_added_up_by_the_hour(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x"), interval("tenant", key="{k}"), interval("idle"))
    await store.submit(jobs(5, needs=["x"]) + [job(f"t{n}", needs=[f"tenant/{n % 2}"]) for n in range(6)])

    assert await store.sample() == 2
    assert await store.sample() == -1, "another leader has looked in this minute"
    clock.advance(60)
    assert await store.sample() == 2
    clock.advance(60)
    await roll_all(store)

    assert [await sums(store, name) for name in ("l:x", "l:tenant", "l:idle")] == [{"n": 8}, {"n": 8}, {}]
    assert (await sums(store, "q"))["m"] == 2
    minutes = await store.history(["l:x", "q"], HOUR - 1, HOUR + 1, by_minute=True)
    assert [cells["n"] for cells in minutes.rows["l:x"].values()] == [4, 4]
    assert [cells["m"] for cells in minutes.rows["q"].values()] == [1, 1]


async def test_of_more_limits_than_a_call_looks_at_and_without_a_history_nothing_is_noted(
    redis_url: str, queue: str, store: JobStore, clock: Clock
) -> None:
    await publish(store, *(interval(f"l{number}") for number in range(501)))
    assert await store.sample() == -1
    silent = make_store(redis_url, queue, clock, record_history=False)
    assert await silent.sample() == -1
    await silent.close()
    assert await counted(store) == {}
