"""The worst that publications, and changes of limits by hand, can meet."""

import json

from bench.script_time.stopwatch import Act
from bench.script_time.workshop import WINDOW_S, Workshop, window, worst_case
from runner import ApiKey, Scope
from runner.limits import Quota, TokenBucket
from runner.store import MOST_PER_CALL
from tests.store.builders import job

_LIMITS = 200
_TASKS = 1_000
_REPEATED = 12
"""More changes than an entry remembers."""


def _some(rate: int, prefix: str = "limit", count: int = _LIMITS) -> list[TokenBucket]:
    return [TokenBucket(f"{prefix}-{n}", rate=f"{rate}/s") for n in range(count)]


@worst_case("publish", "new_limits")
async def _(at: Workshop) -> Act:
    await at.buckets("k", at.size)

    async def act() -> object:
        return len((await at.store.publish({}, _some(1, f"limit-{at.number()}"))).changed)

    return act


@worst_case("publish", "changed_limits")
async def _(at: Workshop) -> Act:
    """Each remembers as many earlier policies as it can."""
    await at.buckets("k", at.size)
    for _ in range(_REPEATED):
        await at.store.publish({}, _some(at.number() + 1))

    async def act() -> object:
        return len((await at.store.publish({}, _some(at.number() + 1))).changed)

    return act


@worst_case("publish", "tasks")
async def _(at: Workshop) -> Act:
    spec = json.dumps({"schema": "x" * 4_000, "limits": []})

    async def act() -> object:
        return (await at.store.publish({f"task-{n}": spec for n in range(_TASKS)}, [])).since_us

    return act


async def _many_workers(at: Workshop) -> None:
    """They hold a lease, each with a long list of tasks."""
    details = json.dumps({"format": 99, "tasks": [f"task-number-{n}" for n in range(200)]})
    for n in range(at.size // 100):
        await at.store.enlist(f"w{n}", details)


@worst_case("check_format", "workers")
async def _(at: Workshop) -> Act:
    await _many_workers(at)

    async def act() -> object:
        await at.store.check_format()
        return at.size

    return act


@worst_case("publish", "workers")
async def _(at: Workshop) -> Act:
    await _many_workers(at)

    async def act() -> object:
        return (await at.store.publish({}, [])).since_us

    return act


async def _versions(at: Workshop, versions: int = 50) -> None:
    """Workers of many versions of an app live, each of which serves hundreds of tasks that are not asked about."""
    for n in range(versions):
        await at.store.enlist(f"v{n}", "{}", [f"t:other-{n}-{task}" for task in range(300)])


async def _tasks(at: Workshop, count: int = _TASKS) -> dict[str, str]:
    spec = json.dumps({"schema": "x" * 4_000, "limits": []})
    tasks = {f"task-{n}": spec for n in range(count)}
    await at.store.publish(tasks, [])
    return tasks


@worst_case("known", "tasks")
async def _(at: Workshop) -> Act:
    """Each has a limit, which remembers as many earlier policies as it can."""
    for _ in range(_REPEATED):
        await at.store.publish({}, _some(at.number() + 1))
    tasks = {f"task-{n}": json.dumps({"schema": "x" * 4_000, "limits": [f"limit-{n}"]}) for n in range(_LIMITS)}
    await at.store.publish(tasks, [])

    async def act() -> object:
        return len((await at.store.known("", list(tasks)[:MOST_PER_CALL])).tasks or ())

    return act


@worst_case("known", "unknown")
async def _(at: Workshop) -> Act:
    await _tasks(at)

    async def act() -> object:
        return len((await at.store.known("", [f"nobody-{n}" for n in range(MOST_PER_CALL)])).others)

    return act


@worst_case("tasks", "versions")
async def _(at: Workshop) -> Act:
    await _tasks(at)
    await _versions(at)

    async def act() -> object:
        return len(await at.store.tasks())

    return act


@worst_case("refresh", "tasks")
async def _(at: Workshop) -> Act:
    tasks = await _tasks(at)

    async def act() -> object:
        return await at.store.refresh(tasks, [])

    return act


@worst_case("serve", "tasks")
async def _(at: Workshop) -> Act:
    async def act() -> object:
        await at.store.enlist("w", "{}", [f"t:{at.number()}" for _ in range(_TASKS)])
        return at.size

    return act


def _key(number: int) -> ApiKey:
    """With every restriction that a key can have."""
    tasks = tuple(f"task-number-{n}" for n in range(50))
    sources = tuple(f"10.{n}.0.0/16" for n in range(20))
    digests = tuple((f"{number:x}".zfill(64), 0) for _ in range(2))
    return ApiKey(f"key-{number}", "a name", tuple(Scope), digests, tasks=tasks, tenant="t7", sources=sources)


async def _keys(at: Workshop) -> list[str]:
    keys = [_key(at.number()) for _ in range(at.size // 10)]
    for key in keys:
        await at.store.change_key(None, key, "key created", "admin")
    return [key.id for key in keys[:MOST_PER_CALL]]


@worst_case("change_key", "restricted")
async def _(at: Workshop) -> Act:
    await _keys(at)

    async def act() -> object:
        return await at.store.change_key(None, _key(at.number()), "key created", "admin")

    return act


@worst_case("keys", "many")
async def _(at: Workshop) -> Act:
    ids = await _keys(at)

    async def act() -> object:
        return len((await at.store.keys_of(ids)).keys)

    return act


@worst_case("audit", "refusals")
async def _(at: Workshop) -> Act:
    lines = [("refused", f"address 192.0.2.{n}", "401 unauthenticated, 9 times") for n in range(MOST_PER_CALL // 3)]
    for _ in range(at.size // len(lines)):
        await at.store.note_refusals(lines)

    async def act() -> object:
        await at.store.note_refusals(lines)
        return len(lines)

    return act


@worst_case("forget", "versions")
async def _(at: Workshop) -> Act:
    await _tasks(at)
    await _versions(at)

    async def act() -> object:
        return await at.store.forget(f"task-{at.number()}")

    return act


@worst_case("limits", "catalog")
async def _(at: Workshop) -> Act:
    """Many limits, with all the earlier policies that they can have, a quota among them."""
    for _ in range(_REPEATED):
        await at.store.publish({}, [*_some(at.number() + 1), Quota("quota", at.number() + 1, per="day")])

    async def act() -> object:
        return len(await at.store.limits())

    return act


@worst_case("limits", "lines")
async def _(at: Workshop) -> Act:
    """A hundred lines at each of many buckets, of keyed limits and of some without a key."""
    await at.submit([job(f"s{n}", needs=[f"k/{n // 100}"], share=f"t{n % 100}") for n in range(at.size // 2)])
    await at.submit([job(f"u{n}", needs=[f"u-{n // 100}"], share=f"t{n % 100}") for n in range(at.size // 10)])
    await at.let_go("k", key="{k}")
    await at.publish(*_some(1, "u", at.size // 1_000))

    async def act() -> object:
        return len(await at.store.limits())

    return act


@worst_case("limits", "buckets")
async def _(at: Workshop) -> Act:
    """A job at each of many buckets of one limit, and as many lines at a bucket without a key."""
    await at.buckets("k", at.size // 2)
    await at.lines(at.size // 2, "x")
    await at.let_go("k", key="{k}")
    await at.publish(TokenBucket("x", rate="1/h"))

    async def act() -> object:
        return len(await at.store.limits())

    return act


def _overview(at: Workshop) -> Act:
    async def act() -> object:
        return len((await at.store.overview(serves_ms=0)).limits)

    return act


@worst_case("overview", "catalog")
async def _(at: Workshop) -> Act:
    """As many limits as are told, with all the earlier policies that they can have, and as many workers."""
    for _ in range(_REPEATED):
        await at.store.publish({}, _some(at.number() + 1))
    for n in range(_LIMITS):
        await at.enlist(f"w{n}")
    return _overview(at)


@worst_case("overview", "lines")
async def _(at: Workshop) -> Act:
    """A hundred lines at each of many buckets, of keyed limits and of some without a key."""
    await at.submit([job(f"s{n}", needs=[f"k/{n // 100}"], share=f"t{n % 100}") for n in range(at.size // 2)])
    await at.submit([job(f"u{n}", needs=[f"u-{n // 100}"], share=f"t{n % 100}") for n in range(at.size // 5)])
    await at.let_go("k", key="{k}")
    await at.publish(*_some(1, "u", at.size // 500))
    return _overview(at)


@worst_case("overview", "buckets")
async def _(at: Workshop) -> Act:
    """A job at each of many buckets of one limit, and as many lines at a bucket without a key."""
    await at.buckets("k", at.size // 2)
    await at.lines(at.size // 2, "x")
    await at.let_go("k", key="{k}")
    await at.publish(TokenBucket("x", rate="1/h"))
    return _overview(at)


@worst_case("line", "one")
async def _(at: Workshop) -> Act:
    await at.line("x", at.size)
    await at.publish(TokenBucket("x", rate="1/h"))

    async def act() -> object:
        return len((await at.store.line("x", 500, 500)).jobs)

    return act


@worst_case("line", "lines")
async def _(at: Workshop) -> Act:
    """Very many lines at one bucket."""
    await at.lines(at.size // 2, "x")
    await at.publish(TokenBucket("x", rate="1/h"))

    async def act() -> object:
        return len((await at.store.line("x", 0, 500)).jobs)

    return act


@worst_case("buckets", "many")
async def _(at: Workshop) -> Act:
    await at.buckets("k", at.size // 2)
    await at.publish(TokenBucket("k", rate="1/h", key="{k}"))

    async def act() -> object:
        return len((await at.store.waiting_buckets("k")).buckets)

    return act


@worst_case("buckets", "found")
async def _(at: Workshop) -> Act:
    await at.buckets("k", at.size // 2)
    await at.publish(TokenBucket("k", rate="1/h", key="{k}"))

    async def act() -> object:
        return len((await at.store.waiting_buckets("k", "1")).buckets)

    return act


@worst_case("override", "buckets")
async def _(at: Workshop) -> Act:
    """Jobs wait at many buckets of the limit."""
    await at.due_buckets()

    async def act() -> object:
        policy = TokenBucket("k", rate=f"{at.number() + 1}/s", key="{k}").to_json()
        return await at.store.override("k", policy, 0, "a try")

    return act


@worst_case("pause", "buckets")
async def _(at: Workshop) -> Act:
    await at.due_buckets()

    async def act() -> object:
        await at.store.pause("k", on=True, reason="a try")
        return await at.store.pause("k", on=False, reason="")

    return act


@worst_case("freeze", "buckets")
async def _(at: Workshop) -> Act:
    await at.due_buckets()

    async def act() -> object:
        await at.store.freeze("k", 60_000_000, "a try")
        return await at.store.freeze("k", 0, "")

    return act


@worst_case("reset", "buckets")
async def _(at: Workshop) -> Act:
    await at.due_buckets()

    async def act() -> object:
        return await at.store.reset("k", "a try")

    return act


@worst_case("reset", "window")
async def _(at: Workshop) -> Act:
    """A sliding window full of starts."""
    await at.publish(window("x", at.size))

    async def act() -> object:
        at.clock.advance(WINDOW_S + 1)
        await at.redis.delete(at.store.keys.taken("x"), at.store.keys.bucket("x"))
        await at.started_in_window("x", at.size)
        return await at.store.reset("x", "a try")

    return act
