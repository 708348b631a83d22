"""Scripts on a real server: each compiles and names its header, a lost cache heals itself, every key has its author and its slot."""

import asyncio
import re
from pathlib import Path

import pytest
from redis.asyncio import Redis

from runner.access import ApiKey, Scope
from runner.connection.client import command
from runner.jobs.job import Ending, Outcome, Priority
from runner.limits import Concurrency, Quota, SlidingWindow
from runner.settings import Settings
from runner.store import scripts
from runner.store.job_store import JobStore
from runner.store.keys import Keys
from runner.store.lease import LeaseStore
from runner.store.scripts import load, script_names
from tests.store.builders import Clock, claim, ids, interval, job, jobs, make_store, publish, succeeded
from tests.store.flow_world import following
from tests.store.inside import all_keys

LUA = Path(scripts.__file__).parent / "lua"


@pytest.mark.parametrize("name", script_names())
async def test_the_server_knows_a_script_under_the_name_computed_here(redis: Redis, name: str) -> None:
    script = load(name)

    assert await redis.script_load(script.source) in {script.sha, script.sha.encode()}


@pytest.mark.parametrize("name", script_names())
def test_a_script_begins_with_a_header_that_says_all(name: str) -> None:
    text = (LUA / f"{name}.lua").read_text().split(f"-- {name}: ", 1)[1]

    assert re.match(
        r"[A-Z(a-z].*\n(-- .*\n)*-- KEYS: prefix\n-- ARGV: .*\n(--   .*\n)*-- Returns: .*\n(--   .*\n)*(-- full: refused\n)?-- include: ",
        text,
    )


@pytest.mark.parametrize("name", script_names())
def test_what_a_script_says_to_people_is_not_sent(name: str) -> None:
    assert not re.search(r"(?m)^\s*--", load(name).source)


async def test_a_server_that_lost_its_scripts_is_given_them_again(store: JobStore, redis_url: str, queue: str) -> None:
    await publish(store, interval("x"))
    await command(store.redis, "SCRIPT", "FLUSH")
    await store.submit(jobs(2, needs=["x"]))
    await command(store.redis, "SCRIPT", "FLUSH")
    started = await claim(store)
    await command(store.redis, "SCRIPT", "FLUSH")
    lease = LeaseStore(redis_url, queue, Settings())
    assert await asyncio.to_thread(lease.renew, "w") == []
    lease.close()
    await command(store.redis, "SCRIPT", "FLUSH")

    assert await store.finish("w", [succeeded(one) for one in started]) == ["accepted"]
    assert ids(started) == ["j0"]


def patterns_of_keys(queue: str) -> list[str]:
    """Every key Keys can name, as a regular expression; a variable part is anything. Not the channel."""
    keys = Keys(queue)
    names = [keys.stream(priority) for priority in Priority]
    names += [keys.wakes, keys.scheduled, keys.limits, keys.specs, keys.catalog, keys.seen, keys.workers, keys.leader, keys.nudge]
    names += [keys.failed, keys.history, keys.starts, keys.sequence, keys.clock, keys.expiring, keys.format, keys.waiting, keys.records]
    names += [keys.retentions, keys.ended_on_stream, keys.cancelled, keys.cursor_secret]
    names += [keys.keys, keys.keys_used, keys.audit, keys.counts]
    names += [keys.held_back, keys.batches, keys.flow_ended, keys.overview, keys.overview_minute]
    variable = [keys.job, keys.line, keys.lines_waiting, keys.bucket, keys.worker, keys.inbox, keys.cancels]
    variable += [keys.taken, keys.holders, keys.periods, keys.claims, keys.buckets_waiting, keys.failed_for, lambda _: f"{keys.counts}:"]
    variable += [keys.after, keys.followers, keys.batch]
    return [re.escape(name) for name in names] + [f"{re.escape(name(''))}.+" for name in variable]


async def test_every_key_the_scripts_make_is_one_that_keys_can_name(redis_url: str, queue: str, clock: Clock) -> None:
    store = make_store(redis_url, queue, clock, record_starts=True, max_crashes=1)
    await store.publish(
        {"work": "{}"},
        [
            interval("x", every=60),
            interval("t", key="{a}", every=60),
            SlidingWindow("s", 5, per=60),
            Concurrency("c", 5),
            Quota("q", 5, per="day"),
        ],
    )
    await store.submit(
        [
            job(needs=["x"]),
            *jobs(3, "a", needs=["x"]),
            *jobs(2, "b", needs=["x", "t/:weird"], max_wait=1000),
            *jobs(2, "t", needs=["t/:weird"]),
            job("k", needs=["s", "c", "q"])._replace(limits="c=1!;q=1;s=1", max_wait_us=10**9),
        ]
    )
    await store.submit([job("later", delay=5), *(job(priority.name, priority=priority) for priority in Priority)])
    await store.lead("w", 0)
    first, *rest = await claim(store)
    await store.cancel(rest[0].id)
    key = ApiKey("abcdefgh", "billing", (Scope.jobs_read,), (("0" * 64, 0),))
    await store.change_key(None, key, "key created", "observer")
    await store.keys_of([key.id], used=["0" * 64])
    await store.finish("w", [Outcome(first, Ending.failed, b"{}", 0, 60_000), Outcome(rest[1], Ending.failed, b"{}", 0, 70_000)])
    await store.cursor_secret()
    await store.overview()
    await store.submit([job("dropped")])
    await store.cancel("dropped")
    await store.open_batch("b", "run", 0)
    await store.submit([job("p", delay=60), *(following("p", name=f"f{number}", on_failure="run") for number in range(17))])
    await store.cancel("p")
    made = set(await all_keys(store))
    for _ in range(4):
        clock.advance(61)
        await store.refill()
        started = await claim(store)
        made |= set(await all_keys(store))
        await store.finish("w", [Outcome(one, Ending.retry, b"{}", 1) for one in started])
        await store.promote()
    await store.reclaim()
    made |= set(await all_keys(store))
    await command(store.redis, "DEL", store.keys.starts)
    await store.close()

    patterns = patterns_of_keys(queue)
    assert [key for key in sorted(made) if not re.fullmatch("|".join(patterns), key)] == []
    assert [pattern for pattern in patterns if not any(re.fullmatch(pattern, key) for key in made)] == []


async def test_a_script_touches_no_key_outside_its_queue(store: JobStore, redis: Redis) -> None:
    before = {key async for key in redis.scan_iter(count=1000)}
    await publish(store, interval("x", key="{a}"))
    await store.submit([job(needs=["x/}{:*"]) for _ in range(3)])
    await claim(store)

    made = {key async for key in redis.scan_iter(count=1000)} - before
    assert [key for key in made if not key.startswith(store.keys.prefix.encode())] == []
