"""Lists and counts: every job once, whatever moves meanwhile, in calls that take as long however many there are."""

from collections.abc import Sequence
from typing import Any

import pytest

from runner.connection.client import command
from runner.errors import ConfigurationError
from runner.jobs import JobFilter, Within, question_of
from runner.jobs.job import Ending, Outcome, Priority
from runner.jobs.pause_status import Pausable
from runner.limits import Concurrency, TokenBucket
from runner.limits.naming import in_pool
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, crash, end, enlist, fail_all, finish_all, interval, job, jobs, make_store, publish, slot
from tests.store.census import listed, wrong_counts, wrong_lists
from tests.store.inside import all_keys, commands, scores, states

LIMITS = (interval("x", every=1000), interval("y", every=1000), interval("k", every=1000, key="{id}"), Concurrency("c", 1))


async def assert_all_is_told(store: JobStore, page: int = 500) -> None:
    assert await wrong_counts(store) == []
    assert await wrong_lists(store, page) == []


async def one_of_each(store: JobStore, clock: Clock) -> None:
    """A job in each place there is."""
    await publish(store, *LIMITS)
    await enlist(store, "w")
    await store.submit([job(f"n{number}") for number in range(4)])
    started = await claim(store, free=4)
    await finish_all(store, started[:1])
    await fail_all(store, started[1:2])
    await end(store, started[2], Ending.retry, delay=900)
    await store.submit(jobs(3, "x", needs=["x"]))
    await store.submit(jobs(3, "s", needs=["k/a"]))
    await store.submit(jobs(2, "m", needs=["x", "y"], priority=Priority.low))
    await store.submit(jobs(2, "c", needs=[slot("c")]))
    await store.submit([job("d", delay=500), job("u", needs=["unheard/of"]), job("v", needs=["unheard"])])
    await store.submit([job("q"), job("q2"), job("e", max_wait=1, needs=["x"])])
    await store.cancel("q2")
    clock.advance(2)
    await store.expire()


@pytest.mark.parametrize("page", [500, 1, 3])
async def test_each_job_is_counted_and_listed_once_wherever_it_is(store: JobStore, clock: Clock, page: int) -> None:
    await one_of_each(store, clock)
    counts = await store.counts()
    assert (counts.failed, counts.cancelled, counts.expired, counts.scheduled) == (1, 1, 1, 2)
    assert counts.waiting_for["line"] == counts.waiting == 9
    await assert_all_is_told(store, page)


async def test_a_walk_that_looks_at_one_record_a_call_comes_to_its_end(store: JobStore, clock: Clock) -> None:
    await one_of_each(store, clock)
    assert sorted(await listed(store, examined=1)) == sorted(await listed(store))


async def test_all_is_told_after_every_step_of_a_job_that_ends_in_every_way(store: JobStore, clock: Clock) -> None:
    await publish(store, *LIMITS)
    await store.submit([job("j"), job("held", task="other")])
    await assert_all_is_told(store)
    for ending in (Ending.retry, Ending.returned, Ending.unknown, Ending.failed):
        started = await claim(store)
        await assert_all_is_told(store)
        for one in started:
            await store.finish("w", [Outcome(one, ending, b'{"type":"E","message":"no"}', 1_000, 60_000)])
        await assert_all_is_told(store)
        clock.advance(3)
        await enlist(store, "w")
        await store.promote()
        await assert_all_is_told(store)
    await store.retry("j")
    await assert_all_is_told(store)
    await claim(store)
    await crash(store)
    await assert_all_is_told(store)
    await store.cancel("j")
    await assert_all_is_told(store)
    await store.retry("j")
    await assert_all_is_told(store)


async def test_a_job_cancelled_on_a_stream_is_no_longer_counted_as_ready(store: JobStore) -> None:
    await store.submit(jobs(3))
    await store.cancel("j1")
    assert (await store.counts()).queued == 2
    await store.retry("j1")
    assert (await store.counts()).queued == 3
    await store.cancel("j1")
    await store.cancel("j1")
    assert (await store.counts()).queued == 2
    await claim(store)
    counts = await store.counts()
    assert (counts.queued, counts.running, counts.cancelled) == (0, 2, 1)
    assert await command(store.redis, "GET", store.keys.ended_on_stream) == b"0"


async def test_ready_jobs_are_counted_right_although_a_record_outlives_its_time_on_the_stream(store: JobStore) -> None:
    await store.submit(jobs(3))
    await store.cancel("j1")
    await command(store.redis, "DEL", store.keys.job("j1"))
    await claim(store, free=1)
    await claim(store, free=5)
    await store.submit([job("more")])
    counts = await store.counts()
    assert (counts.queued, counts.running) == (1, 2)


async def test_what_is_counted_of_ended_jobs_on_streams_begins_anew_once_they_are_empty(store: JobStore) -> None:
    await command(store.redis, "SET", store.keys.ended_on_stream, 7)
    await store.submit(jobs(2))
    await store.trim()
    assert await command(store.redis, "GET", store.keys.ended_on_stream) == b"7"
    await finish_all(store, await claim(store))
    await store.trim()
    assert await command(store.redis, "GET", store.keys.ended_on_stream) is None


async def test_jobs_that_are_kept_for_another_time_are_counted_until_they_are_gone(store: JobStore, clock: Clock) -> None:
    await store.submit(jobs(4))
    started = await claim(store)
    for one, ttl_ms in zip(started, (60_000, 60_000, 5_000, 600_000), strict=True):
        await store.finish("w", [Outcome(one, Ending.failed, b'{"type":"E","message":"no"}', 0, ttl_ms)])
    keys = store.keys
    assert set(await scores(store, keys.failed)) == {"j0", "j1"}
    assert set(await scores(store, keys.failed_for(5_000))) == {"j2"}
    assert await listed(store, JobFilter(state="failed")) == ["j3", "j2", "j1", "j0"]
    assert (await store.counts()).failed == 4
    assert (await store.remaining(0)).failed == 4
    clock.advance(6)
    assert (await store.counts()).failed == 3
    assert await store.trim() == (1, False)
    assert await command(store.redis, "HKEYS", keys.retentions) == [b"failed", b"failed:600000"]
    await store.retry("j3")
    assert (await store.counts()).failed == 2
    assert await store.trim() == (0, False)
    clock.advance(60)
    assert (await store.counts()).failed == 0
    assert await store.trim() == (2, False)
    assert await command(store.redis, "EXISTS", keys.retentions) == 0


async def test_lists_of_ended_jobs_that_were_damaged_refuse_no_end(store: JobStore) -> None:
    await command(store.redis, "SET", store.keys.retentions, "no hash", "EX", 100)
    await command(store.redis, "SET", store.keys.ended_on_stream, "no number", "EX", 100)
    await store.submit(jobs(3))
    await store.cancel("j2")
    started = await claim(store)
    await fail_all(store, started)
    assert await command(store.redis, "HGET", store.keys.job("j0"), "state") == b"failed"
    assert (await store.counts()).failed == 2
    await command(store.redis, "DEL", store.keys.retentions, store.keys.ended_on_stream)


async def test_jobs_that_were_cancelled_on_the_stream_of_a_pool_are_not_counted_as_queued(store: JobStore) -> None:
    await store.submit([one._replace(line="#gpu") for one in jobs(3)])
    await store.cancel("j0")
    await store.cancel("j1")
    for _ in range(2):
        assert ((await store.counts()).queued, (await store.counts()).cancelled) == (1, 2)
        await store.trim()  # the streams of the default pool are empty


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ({"state": "waiting"}, "c1 m0 m1 s1 s2 u v x1 x2"),
        ({"state": ["scheduled", "failed"]}, "d n1 n2"),
        ({"limit": "k"}, "s0 s1 s2"),
        ({"bucket": "k/a", "state": "waiting"}, "s1 s2"),
        ({"bucket": "y"}, "m0 m1"),
        ({"limit": "unheard"}, "u v"),
        ({"reason": "retry"}, "n2"),
        ({"reason": "delay"}, "d"),
        ({"reason": "line", "limit": "x"}, "m0 m1 x1 x2"),
        ({"error": "E"}, "n1"),
        ({"error": "F"}, ""),
        ({"id_prefix": "n"}, "n0 n1 n2 n3"),
        ({"task": "wo*", "state": "succeeded"}, "n0"),
        ({"task": "other"}, ""),
        ({"pool": "gpu"}, ""),
        ({"pool": "default", "state": "running"}, "n3"),
        ({"submitted_to": 1.0}, ""),
    ],
)
async def test_a_filter_chooses_by(store: JobStore, clock: Clock, chosen: dict[str, Any], found: str) -> None:
    await one_of_each(store, clock)
    assert sorted(await listed(store, JobFilter(**chosen))) == found.split()
    assert sorted(await listed(store, JobFilter(**chosen), page=1, examined=2)) == found.split()


async def test_a_filter_chooses_by_time_the_latest_or_the_oldest_first(store: JobStore, clock: Clock) -> None:
    begun_s = clock.now_us / 1e6
    for number in range(6):
        await store.submit([job(f"j{number}")])
        await (fail_all if number % 2 else finish_all)(store, await claim(store))
        clock.advance(10)
    failed = JobFilter(state="failed")
    assert await listed(store, failed, page=2) == ["j5", "j3", "j1"]
    assert await listed(store, JobFilter(state="failed", oldest_first=True), page=2) == ["j1", "j3", "j5"]
    assert await listed(store, JobFilter(state="failed", ended_from=begun_s + 25)) == ["j5", "j3"]
    assert await listed(store, JobFilter(state="failed", ended_from=begun_s + 10, ended_to=begun_s + 30)) == ["j3", "j1"]
    assert await listed(store, JobFilter(state="failed", ended_to=begun_s + 30, oldest_first=True)) == ["j1", "j3"]
    assert await listed(store, JobFilter(submitted_from=begun_s + 35), page=1) == ["j5", "j4"]
    assert await listed(store, JobFilter(state="succeeded", oldest_first=True)) == ["j0", "j2", "j4"]


async def test_jobs_that_ended_at_one_instant_are_each_met_once(store: JobStore) -> None:
    await store.submit([*jobs(40, "a"), *jobs(40, "A"), *jobs(40, "-")])
    await fail_all(store, await claim(store, free=60))
    await fail_all(store, await claim(store, free=60))
    await assert_all_is_told(store, page=7)
    assert await listed(store, JobFilter(state="failed", oldest_first=True), page=7) == list(
        reversed(await listed(store, JobFilter(state="failed")))
    )


async def test_the_caller_s_part_of_a_filter_finds_no_jobs_of_others(store: JobStore) -> None:
    await store.submit([job("a"), job("t7/a", task="mail"), job("t7/b"), job("t77/a"), job("take:x/y")])

    async def ids(within: Within, **chosen: Any) -> Sequence[str]:
        selected = await store.select(question_of(JobFilter(**chosen), within))
        return sorted(selected.ids)

    assert await ids(Within("t7/", shared=False)) == ["t7/a", "t7/b"]
    assert await ids(Within("t7/", shared=False), id_prefix="a") == ["t7/a"]
    assert await ids(Within("", shared=False)) == ["a"]
    assert await ids(Within("t7/", shared=False, tasks=("ma*",)), task="work") == []
    assert await ids(Within("t7/", shared=False, tasks=("ma*",))) == ["t7/a"]
    assert await ids(Within()) == ["a", "t7/a", "t7/b", "t77/a"]


async def test_an_id_that_was_used_again_is_listed_once_although_it_ended_twice(redis_url: str, queue: str) -> None:
    store = make_store(redis_url, queue, Clock(0))
    for round_ in range(2):
        await store.submit([job("daily", args=b'{"day":%d}' % round_)])
        await finish_all(store, await claim(store))
        rows = await command(store.redis, "XRANGE", store.keys.history, "-", "+")
        assert len(rows) == round_ + 1
        if round_ == 0:
            await command(store.redis, "DEL", store.keys.job("daily"))
            earlier = int(rows[0][0].partition(b"-")[0]) - 5_000
            await command(store.redis, "DEL", store.keys.history)
            words = ["job", "daily", "task", "work", "state", "succeeded", "attempt", "1"]
            await command(store.redis, "XADD", store.keys.history, f"{earlier}-0", *words)
    assert await listed(store, JobFilter(state="succeeded")) == ["daily"]
    await store.close()


async def test_jobs_of_pools_and_of_paused_tasks_are_counted_and_listed_too(store: JobStore) -> None:
    await publish(store, *LIMITS)
    await enlist(store, "w")
    sent = [job("g"), *jobs(3, "x", needs=["x"]), *jobs(2, "m", needs=["x", "y"]), job("h", priority=Priority.high)]
    await store.submit([one._replace(line=in_pool(one.line, "gpu")) for one in sent])
    await store.submit([*jobs(2, "d"), *jobs(2, "p", task="paused"), *jobs(2, "q", needs=["y"], task="paused")])
    await store.set_pause(Pausable.task, "paused", "", 0)
    await claim(store)
    await store.refill()
    counts = await store.counts()
    assert counts.waiting_for["paused"] == 4
    assert await wrong_counts(store) == []
    for page in (500, 1, 3):
        assert sorted(await listed(store, page=page)) == sorted(
            ["g", "x0", "x1", "x2", "m0", "m1", "h", "d0", "d1", "p0", "p1", "q0", "q1"]
        )
        assert sorted(await listed(store, JobFilter(pool="gpu"), page=page)) == ["g", "h", "m0", "m1", "x0", "x1", "x2"]
        assert sorted(await listed(store, JobFilter(reason="paused"), page=page)) == ["p0", "p1", "q0", "q1"]
        assert await wrong_lists(store, page) == []
    await store.set_pause(Pausable.pool, "gpu", "", 0)
    assert sorted(await listed(store, JobFilter(reason="paused"))) == ["g", "h", "m0", "m1", "p0", "p1", "q0", "q1", "x0", "x1", "x2"]
    assert await wrong_lists(store) == []
    for what, name in ((Pausable.pool, "gpu"), (Pausable.task, "paused")):
        await store.end_pause(what, name)


async def test_dead_letters_are_counted_by_task_and_type_of_error(store: JobStore, clock: Clock) -> None:
    await store.submit([job(f"j{number}", task="mail" if number % 3 else "pay") for number in range(9)])
    errors = [b'{"type":"Timeout","message":"x"}', b'{"message":"y","type":"K\\u00fc"}', b"no json"]
    for number, one in enumerate(await claim(store)):
        await store.finish("w", [Outcome(one, Ending.failed, errors[number // 3], 0, 60_000)])
        clock.advance(1)
    page = await store.groups(question_of(JobFilter(state="failed")))
    assert page.cursor == b""
    assert {(group.task, group.error): (group.count, group.last_id) for group in page.groups} == {
        ("mail", "Timeout"): (2, "j2"),
        ("pay", "Timeout"): (1, "j0"),
        ("mail", "Kü"): (2, "j5"),
        ("pay", "Kü"): (1, "j3"),
        ("mail", ""): (2, "j8"),
        ("pay", ""): (1, "j6"),
    }


async def test_a_cursor_of_a_place_that_is_none_is_refused(store: JobStore) -> None:
    with pytest.raises(ConfigurationError, match="begin anew"):
        await store.select(question_of(JobFilter(state="failed")), b'["stream",["x","1-1"]]')


async def test_a_walk_meets_once_each_job_that_stays_while_ten_thousand_move(store: JobStore, clock: Clock) -> None:
    await publish(store, *LIMITS, TokenBucket("fast", rate="100000/s", burst=5000))
    stay = [f"stay{number}" for number in range(600)]
    for at, name in enumerate(stay):
        needs = [[], ["x"], [f"k/{at % 37}"], ["x", "y"]][at % 4]
        await store.submit([job(name, needs=needs, delay=5_000 if at % 8 == 0 else 0, priority=Priority.low, share=f"s{at % 30}")])
    ended = [f"over{number}" for number in range(300)]
    await store.submit([job(name) for name in ended])
    for _ in range(3):
        await fail_all(store, await claim(store, free=100))
    met: list[str] = []
    cursor, moved, question = b"", 0, question_of(JobFilter())
    while True:
        selected = await store.select(question, cursor, found=8)
        met += selected.ids
        cursor = selected.cursor
        if not cursor:
            break
        names = [f"move{moved + number}" for number in range(100)]
        moved += len(names)
        await store.submit([job(name, needs=["fast"] if at % 2 else [], priority=Priority.high) for at, name in enumerate(names)])
        started = await claim(store, free=100)
        assert all(one.id.startswith("move") for one in started)
        await (fail_all if moved % 500 == 0 else finish_all)(store, started)
        clock.advance(0.01)
    assert moved >= 10_000
    seen = {name: met.count(name) for name in [*stay, *ended]}
    assert set(seen.values()) == {1}, {name: count for name, count in seen.items() if count != 1}


FILL = """
local prefix, shape = KEYS[1], ARGV[1]
for at = ARGV[2] + 1, ARGV[3] do
  local id = 'f' .. at
  local bucket = shape == 'buckets' and 'k/' .. at or 'x'
  local line = '1|' .. bucket .. (shape == 'lines' and '@s' .. at .. '*1' or '')
  redis.call('HSET', prefix .. 'job:' .. id, 'task', 'work', 'args', '{}', 'state', 'queued', 'priority', 1, 'submitted', 1,
    'limits', bucket .. '=1', 'line', line, 'rank', at * 1024 + 1)
  redis.call('ZADD', prefix .. 'line:' .. line, at * 1024 + 1, id)
  redis.call('ZADD', prefix .. 'lines:waiting:' .. bucket, at, line)
  redis.call('ZADD', prefix .. 'wakes', 9007199254740990, bucket)
  if shape == 'buckets' then redis.call('ZADD', prefix .. 'waiting:k', 0, bucket) end
end
redis.call('SET', prefix .. 'waiting', ARGV[3])
"""


@pytest.mark.parametrize("count", [3_000, pytest.param(100_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("shape", ["line", "buckets", "lines"])
async def test_a_page_takes_no_more_commands_of_a_hundred_thousand_waiting_jobs_than_of_a_few(
    redis_url: str, queue: str, clock: Clock, shape: str, count: int
) -> None:
    store = make_store(redis_url, queue, clock)
    await publish(store, *LIMITS)
    for begun in range(0, count, 1_000):
        await command(store.redis, "EVAL", FILL, 1, store.keys.prefix, shape, begun, begun + 1_000)
    question, cursor, pages, dearest, met = question_of(JobFilter(state="waiting")), b"", 0, 0, 0
    while True:
        before = await commands(store)
        selected = await store.select(question, cursor)
        dearest = max(dearest, await commands(store) - before)
        cursor, pages, met = selected.cursor, pages + 1, met + len(selected.ids)
        if not cursor:
            break
    names = await all_keys(store)
    for begun in range(0, len(names), 1_000):
        await command(store.redis, "UNLINK", *names[begun : begun + 1_000])
    await store.close()
    assert met == count
    assert dearest < 2_500, f"a page took {dearest} commands"
    assert pages <= 3 * count / 500 + 2


@pytest.mark.parametrize(
    ("what", "name"), [(Pausable.queue, ""), (Pausable.task, "work"), (Pausable.pool, "default"), (Pausable.key, "k/a")]
)
async def test_paused_jobs_on_a_stream_are_told_as_waiting_and_counted_and_found_as_queued(
    store: JobStore, what: Pausable, name: str
) -> None:
    await publish(store, *LIMITS)
    await store.submit(jobs(2, "k", needs=["k/a"]))
    await store.set_pause(what, name, "", 0)

    assert await states(store, ["k0", "k1"]) == ["waiting", "waiting"]
    counts = await store.counts()
    assert (counts.queued, counts.waiting, counts.waiting_for["line"]) == (1, 1, 1)
    assert await listed(store, JobFilter(state="queued")) == ["k0"]
    assert await listed(store, JobFilter(state="waiting")) == ["k1"]
    await assert_all_is_told(store)
