"""The reply of every script is lost once, after it was executed, and its caller asks again: the queue is as if it had been asked once."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from runner import ApiKey, Concurrency, Scope, Settings
from runner.connection.client import command
from runner.errors import StoreUnavailable
from runner.jobs import BulkAction, JobFilter, Pausable, question_of
from runner.jobs.job import Priority, StartedJob
from runner.jobs.progress import Reported
from runner.jobs.submission import made_by_schedule
from runner.store import Observation, scripts
from runner.store.claims import ClaimRequest
from runner.store.job_store import JobStore
from runner.store.keys import GROUP
from runner.store.schedules import Change, Firing
from tests.leftovers import keys_of
from tests.proxy import Proxy
from tests.recovery import Recovery
from tests.store.builders import Clock, claim, fail_all, fresh_store, interval, job, jobs, publish, replacing, slot, succeeded, unique
from tests.store.flow_world import following
from tests.store.schedule_builders import put

LIMIT = interval("x", capacity=3, refill=1, every=60)
SLOTS = Concurrency("slots", 2)
RECOVERY_S = 5

Call = Callable[[JobStore, list[StartedJob]], Awaitable[object]]

DUE_S = {"reclaim": 11, "roll": 61, "trim": Settings().failed_ttl_s + 1}
"""How much later a duty finds something to do."""


async def claim_again(store: JobStore, started: list[StartedJob]) -> object:
    """As a worker does: after any error it first says what it has in hand."""
    await store.reconcile("w", started)
    return len((await store.claim("w", ClaimRequest(2, read_more=True))).jobs)


async def look_for_orphans(store: JobStore, started: list[StartedJob]) -> object:
    """The worker is lost, and so is one of its entries."""
    await command(store.redis, "ZADD", store.keys.workers, 1, "w")
    await command(store.redis, "XACK", store.keys.stream(Priority.normal), GROUP, started[0].entry)
    await command(store.redis, "XDEL", store.keys.stream(Priority.normal), started[0].entry)
    cursor, taken = await store.orphans(b"0")
    while cursor != b"0":
        cursor, more = await store.orphans(cursor)
        taken += more
    return taken


async def advance_again(store: JobStore, started: list[StartedJob]) -> object:
    """Once a job has ended that more come after than are told at once."""
    await store.cancel("followed")
    return await store.advance()


async def fire_again(store: JobStore, started: list[StartedJob]) -> object:
    """As a leader does: it reads what is due before."""
    _, _, due = await store.due()
    runs = [(one.nominal_us or 0, made_by_schedule(job(f"{one.name}:{one.nominal_us}"), one.name)) for one in due]
    return await store.fire(
        [Firing(one, [run], run[0] + 60_000_000, run[0] + 60_000_000, 2, run[0]) for one, run in zip(due, runs, strict=True)]
    )


async def pause_again(store: JobStore, started: list[StartedJob]) -> object:
    """As an operator's program does: it reads the version before."""
    _, (known,) = await store.known_schedules(["hourly"])
    assert known.entry is not None
    return await store.change_schedule(Change("hourly", "pause", known.entry.version, reason="repair"))


KEY = ApiKey("abcdefgh", "billing", (Scope.jobs_read,), (("0" * 64, 0),))

CALLS: dict[str, Call] = {
    "adapt": lambda store, started: store.adapt(),
    "advance": advance_again,
    "audit": lambda store, started: store.note_refusals([("refused", "address 192.0.2.1", "9 times")]),
    "bulk": lambda store, started: store.bulk("counted"),
    "buckets": lambda store, started: store.waiting_buckets("k"),
    "bulk_begin": lambda store, started: store.begin_bulk("new", BulkAction.cancel, question_of(JobFilter()), {}),
    "bulk_confirm": lambda store, started: store.confirm_bulk("small", 0),
    "bulk_stop": lambda store, started: store.stop_bulk("counted"),
    "calendar": lambda store, started: store.extend_calendar("month:UTC"),
    "cancel": lambda store, started: store.cancel("j1"),
    "change_key": lambda store, started: store.change_key(None, KEY, "key created", "observer"),
    "check_format": lambda store, started: store.check_format(),
    "claim": claim_again,
    "counts": lambda store, started: store.counts(),
    "cursor_secret": lambda store, started: store._run("cursor_secret", fresh="0" * 64),
    "day": lambda store, started: store.ended_in_a_day(),
    "delete": lambda store, started: store.delete("dead"),
    "exchange": lambda store, started: store.exchange("x", ["x"]),
    "lease": lambda store, started: store._run("lease", ["x", *[0] * 11, "", ""], partition="other:x", weight=1, asks=0),
    "recall": lambda store, started: store._run("recall", bucket="x"),
    "sharers": lambda store, started: store._run("sharers", bucket="x"),
    "drowse": lambda store, started: store.drowse(),
    "due": lambda store, started: store.due(),
    "end_pause": lambda store, started: store.end_pause(Pausable.queue, ""),
    "expire": lambda store, started: store.expire(),
    "fire": fire_again,
    "finish": lambda store, started: store.finish("w", [succeeded(started[0])]),
    "forget": lambda store, started: store.forget("work"),
    "freeze": lambda store, started: store.freeze("x", 5_000_000, "somebody"),
    "get": lambda store, started: store.watch(["j0", "j4"]),
    "groups": lambda store, started: store.groups(question_of(JobFilter())),
    "heartbeat": lambda store, started: store.enlist("v", "{}"),
    "history": lambda store, started: store.history(["q"], 0, 1, by_minute=True),
    "hold": lambda store, started: store.hold("take:holder", "slots=1!", 0),
    "keys": lambda store, started: store.keys_of(["abcdefgh"], used=["0" * 64]),
    "known": lambda store, started: store.known("", ["work"]),
    "lead": lambda store, started: store.lead("w", 0),
    "limits": lambda store, started: store.limits(),
    "line": lambda store, started: store.line("x", 0, 10),
    "link": lambda store, started: store.link("tied", ["j0", "j3"], 0),
    "list_pauses": lambda store, started: store.list_pauses(),
    "batches": lambda store, started: store.batches(),
    "members": lambda store, started: store.members("last", 0, 9),
    "observe": lambda store, started: store.observe([Observation("x", started[0].id, started[0].attempt, 0)]),
    "open": lambda store, started: store.open_batch("b", "run", 5),
    "open_pools": lambda store, started: store.open_pools(),
    "orphans": look_for_orphans,
    "foresee": lambda store, started: store.foresee(job("more", needs=["x"])),
    "outlook": lambda store, started: store.get(["brief"]),
    "override": lambda store, started: store.override("x", interval("x", capacity=5, every=30).to_json(), 0, "more"),
    "overview": lambda store, started: store.overview(),
    "pause": lambda store, started: store.pause("x", on=True, reason="repair"),
    "pools": lambda store, started: store.pools(),
    "progress": lambda store, started: store.progress(
        "w", [(started[0].id, started[0].attempt, Reported(1, 2, "half").encoded(started[0].attempt))]
    ),
    "promote": lambda store, started: store.promote(),
    "publish": lambda store, started: store.publish({"work": "{}"}, [interval("y")], 7),
    "reclaim": lambda store, started: store.reclaim(),
    "reconcile": lambda store, started: store.reconcile("w", started[:1]),
    "refill": lambda store, started: store.refill(),
    "refresh": lambda store, started: store.refresh({"work": "{}"}, [interval("y")]),
    "remaining": lambda store, started: store.remaining(600),
    "repair": lambda store, started: store.repair(),
    "reset": lambda store, started: store.reset("x", "paid"),
    "retime": lambda store, started: store.retime(),
    "retry": lambda store, started: store.retry("dead"),
    "roll": lambda store, started: store.roll(),
    "rouse": lambda store, started: store.rouse(0),
    "sample": lambda store, started: store.sample(),
    "schedule": pause_again,
    "schedules": lambda store, started: store.schedule_names(),
    "seal": lambda store, started: store.seal("last", 1),
    "select": lambda store, started: store.select(question_of(JobFilter())),
    "series": lambda store, started: store.series(),
    "serve": lambda store, started: store.enlist("v", "{}", ["t:work", "l:x"]),
    "set_pause": lambda store, started: store.set_pause(Pausable.task, "work", "repair", 0),
    "spent": lambda store, started: store.spent("x", 0, 1, by_key=False),
    "submit": lambda store, started: store.submit(
        [
            job("limited", needs=["x"]),
            job("free", args=b'{"a":1}'),
            unique("one", "work/new"),
            unique("two", "work/new"),
            replacing("three"),
        ]
    ),
    "sweep": lambda store, started: store.sweep(),
    "take": lambda store, started: store.take("take:other", "slots=1!", "slots", lapse_us=5_000_000, wait_us=60_000_000),
    "take_ends": lambda store, started: store.take_ends(["work"], announce=True),
    "tasks": lambda store, started: store.tasks(),
    "tend": lambda store, started: store.tend(["slots"], [("take:holder", 60_000_000)]),
    "trigger": lambda store, started: store.trigger("hourly", job("hourly:by-hand-1")),
    "trim": lambda store, started: store.trim(),
    "unhold": lambda store, started: store.unhold(),
    "unpause": lambda store, started: store.unpause(),
    "warnings": lambda store, started: store.warnings(has_hooks=True),
    "workers": lambda store, started: store.workers(),
}


def test_every_script_is_called() -> None:
    assert sorted(CALLS) == scripts.script_names()


@pytest.mark.fault("F04", bound_s=RECOVERY_S)
@pytest.mark.parametrize("name", sorted(CALLS))
async def test_a_call_that_is_repeated_after_its_reply_was_lost_counts_once(
    redis: Redis, redis_url: str, recovery: Recovery, name: str
) -> None:
    script, call = scripts.load(name), CALLS[name]
    await redis.script_load(script.source)
    async with Proxy(redis_url) as proxy:
        once, twice = Clock(), Clock()
        async with fresh_store(redis, redis_url, once) as asked_once, fresh_store(redis, proxy.url, twice) as asked_twice:
            await call(asked_once, await prepared(asked_once, once, DUE_S.get(name, 0)))
            started = await prepared(asked_twice, twice, DUE_S.get(name, 0))
            proxy.lose_reply_of("EVALSHA", script.sha)
            with pytest.raises(StoreUnavailable):
                await call(asked_twice, started)
            recovery.begins()
            await call(asked_twice, started)
            recovery.ends()

            assert proxy.lost_replies == 1
            once_holds, twice_holds = await contents(redis, asked_once), await contents(redis, asked_twice)
            if name == "claim":  # what was given back comes again as another attempt, and behind what it stood before
                once_holds, twice_holds = essence(once_holds), essence(twice_holds)
            assert twice_holds == once_holds


async def prepared(store: JobStore, clock: Clock, due_s: float) -> list[StartedJob]:
    """A queue with something for every script to do; the two jobs that worker `w` runs."""
    await store.begin_bulk("small", BulkAction.delete, question_of(JobFilter(state="failed")), {})
    await store.bulk("small")
    await publish(store, LIMIT, SLOTS)
    await put(store, "hourly", every=5)
    await store.submit([job("dead")])
    await fail_all(store, await claim(store))
    await store.submit(jobs(5, needs=["x"]))
    await store.submit([job("due", delay=5), job("brief", needs=["x"], max_wait=5), job("slotted", needs=[slot("slots")])])
    await store.submit([replacing("waits", needs=["x"])])
    await command(store.redis, "HSET", store.keys.unique, "work/gone", "0 gone")
    await store.submit([job("followed", delay=60), *(following("followed", name=f"f{number}") for number in range(20))])
    await store.submit([following(name="tied"), following(name="last", on_failure="run")])
    await store.link("last", ["dead"], 0)
    await store.take("take:holder", "slots=1!", "slots", lapse_us=60_000_000)
    await store.begin_bulk("counted", BulkAction.cancel, question_of(JobFilter(state="scheduled")), {})
    started = await claim(store, free=2)
    clock.advance(6 + due_s)
    return started


_SENT_AGAIN = b"|d"


async def contents(redis: Redis, store: JobStore) -> dict[str, Any]:
    """Everything a queue holds, but for ids that the server gives to entries of streams, and how often a limit was told the same.

    The audit has a line for each time, the history counts how often what was there was submitted, and the answer of the overview is kept for a
    moment only.
    """
    found: dict[str, Any] = {}
    for key in await keys_of(redis, store.keys.queue):
        name, kind = key.removeprefix(store.keys.prefix), (await command(redis, "TYPE", key)).decode()
        if name in {"audit", "overview"}:
            continue
        if name == "limits":
            found[name] = {limit: in_force(json.loads(entry)) for limit, entry in (await redis.hgetall(key)).items()}
        elif kind == "hash":
            fields: dict[Any, Any] = await redis.hgetall(key)
            other = {b"entry", b"turn", b"version", b"reserved_at"}
            found[name] = {field: value for field, value in fields.items() if field not in other and not field.endswith(_SENT_AGAIN)}
        elif kind == "zset":
            found[name] = await redis.zrange(key, 0, -1, withscores=True)
        elif kind == "stream":
            found[name] = [fields for _, fields in await command(redis, "XRANGE", key, "-", "+")]
        elif kind == "list":
            found[name] = await command(redis, "LRANGE", key, 0, -1)
        elif kind == "set":
            found[name] = set(await command(redis, "SMEMBERS", key))
        else:
            found[name] = await command(redis, "GET", key)
    return found


def in_force(entry: dict[str, Any]) -> dict[str, Any]:
    """The numbers of a limit, who changed them and when, without the versions by which changes are told apart."""
    kept = {name: value for name, value in entry.items() if name not in {"previous", "versions", "reset_version"}}
    return {name: {k: v for k, v in value.items() if k != "version"} if isinstance(value, dict) else value for name, value in kept.items()}


def essence(contents: dict[str, Any]) -> dict[str, Any]:
    """The tokens that are taken, and the jobs that run."""
    buckets = {name: (fields.get(b"deficit"), fields.get(b"used")) for name, fields in contents.items() if name.startswith("bucket:")}
    return {**buckets, "running": {name for name, fields in contents.items() if name.startswith("job:") and fields[b"state"] == b"running"}}
