"""The worst that producers, operators and callers without a job can ask for."""

from bench.script_time.stopwatch import Act
from bench.script_time.workshop import WINDOW_S, WORKER, Workshop, slots, window, worst_case
from runner.limits import TokenBucket
from runner.store import MOST_NAMES, MOST_PER_CALL, MOST_TICKETS, MOST_WATCHED
from runner.store.portions import MOST_HEAVY, MOST_STATUSES
from tests.store.builders import job, succeeded

_BATCH = 1_000
_BYTES = 8_000_000


@worst_case("submit", "batch")
async def _(at: Workshop) -> Act:
    async def act() -> object:
        return len(await at.store.submit([job(f"p{at.number()}") for _ in range(_BATCH)]))

    return act


@worst_case("submit", "three_limits")
async def _(at: Workshop) -> Act:
    """Jobs that each need three buckets of their own."""
    await at.ready(1, limits=3)

    async def act() -> object:
        return len(await at.store.submit(at.keyed(_BATCH, ("a", "b", "c"))))

    return act


@worst_case("submit", "beside_lines")
async def _(at: Workshop) -> Act:
    """Each opens a line of its own where many wait, and expires."""
    await at.lines(at.size // 5, "x")

    async def act() -> object:
        made = [job(f"n{n}", needs=["x"], share=f"new{n}", max_wait=60) for n in (at.number() for _ in range(_BATCH))]
        return len(await at.store.submit(made))

    return act


@worst_case("submit", "payloads")
async def _(at: Workshop) -> Act:
    args = b'{"data": "' + b"x" * (_BYTES // _BATCH) + b'"}'

    async def act() -> object:
        return len(await at.store.submit([job(f"p{at.number()}", args=args) for _ in range(_BATCH)]))

    return act


@worst_case("get", "waiting")
async def _(at: Workshop) -> Act:
    """Jobs that wait at as many buckets."""
    await at.publish(window("x", 1))
    ids = await at.buckets("k", at.size // 5)

    async def act() -> object:
        return len(await at.store.watch(ids))

    return act


@worst_case("get", "ended")
async def _(at: Workshop) -> Act:
    """As many as one call watches, all at their end."""
    ids = []
    for started in [await at.running(MOST_PER_CALL, limits=0) for _ in range(MOST_WATCHED // MOST_PER_CALL)]:
        await at.store.finish(WORKER, [succeeded(one) for one in started])
        ids += [one.id for one in started]

    async def act() -> object:
        return len(await at.store.watch(ids))

    return act


@worst_case("get", "heavy")
async def _(at: Workshop) -> Act:
    """Jobs whose arguments, and those of two more, fill one call for large ones."""
    args = b'{"data": "' + b"x" * (MOST_HEAVY // MOST_STATUSES) + b'"}'
    ids = [f"h{n}" for n in range(MOST_STATUSES + 2)]
    await at.store.submit([job(one, args=args) for one in ids])

    async def act() -> object:
        return len(await at.store.get(ids))

    return act


@worst_case("get", "beside_lines")
async def _(at: Workshop) -> Act:
    """Jobs at as many buckets, where a hundred lines wait at each."""
    ids = [f"s{n}-0" for n in range(at.size // 200)]
    for n, one in enumerate(ids):
        await at.submit([job(one, needs=[f"k/{n}"]), *(job(f"s{n}-{m}", needs=[f"k/{n}"], share=f"t{m}") for m in range(1, 100))])
    await at.let_go("k", key="{k}")

    async def act() -> object:
        return len(await at.store.get(ids))

    return act


@worst_case("outlook", "waiting")
async def _(at: Workshop) -> Act:
    """The same as of the jobs: first they are looked up, then what is around them."""
    ids = await at.buckets("k", at.size // 5)
    await at.let_go("k", key="{k}")

    async def act() -> object:
        return len(await at.store.get(ids[:_BATCH]))

    return act


@worst_case("outlook", "beside_lines")
async def _(at: Workshop) -> Act:
    """Jobs at as many buckets, where a hundred lines of thirty jobs wait at each."""
    ids = [f"s{n}-0" for n in range(at.size // 2_000)]
    for n, one in enumerate(ids):
        others = [job(f"s{n}-{m}-{place}", needs=[(f"k/{n}", 1 + place % 3)], share=f"t{m}") for m in range(1, 100) for place in range(30)]
        await at.submit([job(one, needs=[f"k/{n}"]), *others])
    await at.let_go("k", key="{k}")

    async def act() -> object:
        return len(await at.store.get(ids))

    return act


@worst_case("foresee", "ahead")
async def _(at: Workshop) -> Act:
    """Jobs with a deadline that surely come too late, each with arguments, and all is looked at that one call looks at of their line."""
    await at.submit([job(f"a{n}", needs=["x"]) for n in range(at.size // 5)])
    await at.publish(TokenBucket("x", rate="1/h", burst=1))
    await at.turn_pages()
    args = b'{"data": "' + b"x" * 1_000 + b'"}'
    late = [job(f"late{n}", needs=["x"], deadline=60, args=args) for n in range(_BATCH)]

    async def act() -> object:
        return len(await at.store.out_of_reach(late))

    return act


@worst_case("cancel", "beside_lines")
async def _(at: Workshop) -> Act:
    await at.lines(at.size // 5, "x")
    await at.line("x", at.size)

    async def act() -> object:
        return await at.store.cancel(f"l{at.number() - at.size}")

    return act


@worst_case("retry", "beside_lines")
async def _(at: Workshop) -> Act:
    await at.lines(at.size // 5, "x")
    await at.line("x", at.size)

    async def act() -> object:
        await at.store.cancel(one := f"l{at.number() - at.size}")
        return await at.store.retry(one)

    return act


@worst_case("delete", "beside_dead_letters")
async def _(at: Workshop) -> Act:
    """A dead letter of ten kilobytes, of as many."""
    await at.redis.zadd(at.store.keys.failed, {f"dead-{number}": number for number in range(at.size)})

    async def act() -> object:
        await at.submit([job(one := f"d{at.number()}", args=b'{"a":"' + b"x" * 10_000 + b'"}')])
        await at.store.cancel(one)
        return await at.store.delete(one)

    return act


async def _take(at: Workshop, times: int, limits: str = "x=1", *, lapse_us: int = 0) -> object:
    """What the last of so many takers is told."""
    return [(await at.store.take(f"take:{at.number()}", limits, "x", lapse_us=lapse_us)).state for _ in range(times)][-1]


@worst_case("take", "window_passes")
async def _(at: Workshop) -> Act:
    """All starts of a sliding window leave it at the same instant."""
    await at.publish(window("x", at.size))

    async def act() -> object:
        await at.started_in_window("x", at.size)
        at.clock.advance(WINDOW_S + 1)
        answer = await _take(at, _BATCH)
        at.clock.advance(WINDOW_S + 1)
        await at.redis.delete(at.store.keys.taken("x"), at.store.keys.bucket("x"))
        return answer

    return act


@worst_case("take", "clock_goes_back")
async def _(at: Workshop) -> Act:
    """Redis's clock goes back: all starts of a window have yet to come."""
    await at.publish(window("x", at.size))

    async def act() -> object:
        await at.started_in_window("x", at.size)
        at.clock.advance(-3600)
        answer = await _take(at, 10)
        await at.redis.delete(at.store.keys.taken("x"), at.store.keys.bucket("x"))
        return answer

    return act


@worst_case("take", "slots_lapse")
async def _(at: Workshop) -> Act:
    """All slots of a concurrency lapse at the same instant."""
    await at.publish(slots("x", at.size))

    async def act() -> object:
        await at.held_slots("x", at.size, 1)
        at.clock.advance(2)
        answer = await _take(at, 10, "x=1!", lapse_us=1)
        await at.redis.delete(at.store.keys.holders("x"), at.store.keys.bucket("x"))
        return answer

    return act


@worst_case("hold", "slots_lapse")
async def _(at: Workshop) -> Act:
    """All other slots have lapsed."""
    await at.publish(slots("x", at.size + 1))

    async def act() -> object:
        await at.held_slots("x", at.size, 1)
        await at.store.take(one := f"take:{at.number()}", "x=1!", "x", lapse_us=3_600_000_000)
        at.clock.advance(2)
        held = [await at.store.hold(one, "x=1!", 60_000_000) for _ in range(10)]
        await at.redis.delete(at.store.keys.holders("x"), at.store.keys.bucket("x"))
        return held[-1]

    return act


@worst_case("tend", "tickets")
async def _(at: Workshop) -> Act:
    """A process with many takers in line, all at buckets of their own that are due, while no worker leads."""
    names = [f"k/{n}" for n in range(at.size // 20)]
    for name in names:
        await at.store.take(f"take:{name}", f"{name}=1", f"1|{name}", lapse_us=0, wait_us=3_600_000_000)
    await at.let_go("k", key="{k}")
    await at.store.pause("k", on=True, reason="a try")

    async def act() -> object:
        at.clock.advance(1)
        seen = await at.store.tend(names[:MOST_NAMES], [(f"take:{name}", 3_600_000_000) for name in names[:MOST_TICKETS]])
        return len(seen.waits_us)

    return act


@worst_case("tend", "line")
async def _(at: Workshop) -> Act:
    """The line of a process is served by it, while no worker leads."""
    await at.line("x", at.size)
    await at.let_go("x")
    await at.enlist()

    async def act() -> object:
        served = (await at.store.tend(["x"])).served
        await at.claim(at.size)
        return served

    return act
