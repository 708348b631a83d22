"""The worst that flows and batches can meet."""

from bench.script_time.stopwatch import Act
from bench.script_time.workshop import Workshop, worst_case
from runner.jobs import Submission
from runner.limits import TokenBucket
from runner.store.flows import node_of_batch
from runner.store.job_store import JobStore
from runner.store.portions import MOST_LINKED, MOST_TOLD
from tests.store.builders import claim, fail_all, job
from tests.store.flow_world import following, with_features

_NAMED = 16
"""Nodes that the record of a job names; further ones are in a key of their own."""
_LIMITS = ("a", "b", "c")


async def _publish(at: Workshop) -> None:
    await at.publish(*(TokenBucket(name, rate="1000/s", burst=1_000_000, key="{k}") for name in _LIMITS))


def _limited(at: Workshop, parent: str, on_failure: str = "cancel") -> Submission:
    """It comes after another, and has three limits of its own key."""
    number = at.number()
    return following(parent, name=f"f{number}", on_failure=on_failure, needs=[f"{name}/{number}" for name in _LIMITS])


async def _open(store: JobStore, batch_id: str) -> str:
    await store.open_batch(batch_id, "run", 0)
    return node_of_batch(batch_id)


@worst_case("link", "followed")
async def _(at: Workshop) -> Act:
    """As many jobs as one call names, and more come after each of them already than its record names."""
    ids = [f"p{n}" for n in range(MOST_LINKED)]
    await at.submit([job(name, delay=60) for name in ids])
    for _ in range(_NAMED + 1):
        await at.store.link(await _open(at.store, f"b{at.number()}"), ids)

    async def act() -> object:
        node = await _open(at.store, f"b{at.number()}")
        return (await at.store.link(node, ids)).over

    return act


@worst_case("seal", "ends_others")
async def _(at: Workshop) -> Act:
    """A follower is ended by its policy, and with it as many as one script moves of 16 that come after it, and 16 after one of these."""
    await _publish(at)
    await at.submit([job("bad")])
    await fail_all(at.store, await claim(at.store))

    async def act() -> object:
        first = f"s{at.number()}"
        await at.submit([following(name=first)])
        children = [_limited(at, first) for _ in range(_NAMED)]
        await at.submit(children)
        await at.submit([_limited(at, children[0].id) for _ in range(_NAMED)])
        await at.store.link(first, ["bad"], 0)
        before = await at.redis.zcard(at.store.keys.held_back)
        await at.store.seal(first, 1)
        ended = before - await at.redis.zcard(at.store.keys.held_back)
        while await at.store.advance():
            pass
        return ended

    return act


@worst_case("seal", "large_batch")
async def _(at: Workshop) -> Act:
    """A batch with as many jobs as there are, and one that follows it."""
    ids = [f"p{n}" for n in range(at.size // 10)]
    await at.submit([job(name, delay=60) for name in ids])

    async def act() -> object:
        node = await _open(at.store, batch := f"b{at.number()}")
        await at.submit([with_features(job(f"then{at.number()}"), ends_batch=batch, on_failure="run")])
        await at.store.link(node, ids)
        return (await at.store.seal(node))[1]

    return act


@worst_case("open", "tasks")
async def _(at: Workshop) -> Act:
    """Beside jobs of many tasks that nobody serves, which count for the cap."""
    for n in range(at.size // 100):
        await at.redis.zadd(at.store.keys.held(f"task-{n}"), {f"h{n}": 1})
        await at.redis.zadd(at.store.keys.unserved, {f"task-{n}": 1})

    async def act() -> object:
        return await at.store.open_batch(f"b{at.number()}", "run", 10, most_backlog=10_000_000)

    return act


@worst_case("advance", "let_go")
async def _(at: Workshop) -> Act:
    """One job has ended that many come after, each with three limits of its own key."""
    await _publish(at)

    async def act() -> object:
        await at.submit([job(parent := f"p{at.number()}", delay=60)])
        await at.submit([_limited(at, parent, "run") for _ in range(_NAMED + MOST_TOLD)])
        await at.store.cancel(parent)
        before = await at.redis.zcard(at.store.keys.held_back)
        await at.store.advance()
        moved = before - await at.redis.zcard(at.store.keys.held_back)
        if not moved:
            raise RuntimeError("advance moved no follower")
        return moved

    return act


@worst_case("members", "page")
async def _(at: Workshop) -> Act:
    """As many as one call tells, of all there are."""
    ids = [f"p{n}" for n in range(at.size)]
    await at.submit([job(name, delay=60) for name in ids])
    node = await _open(at.store, "b")
    await at.store.link(node, ids)

    async def act() -> object:
        found = await at.store.members(node, at.size // 2, 1_000)
        return 0 if found is None else len(found.page)

    return act


@worst_case("batches", "page")
async def _(at: Workshop) -> Act:
    """As many as one call tells, behind as many of others as it passes over."""
    for number in range(100):
        await _open(at.store, f"b{number}")
    for number in range(900):
        await _open(at.store, f"tenant/b{number}")

    async def act() -> object:
        return len(await at.store.batches())

    return act
