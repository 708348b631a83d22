"""The worst that the history can be asked: all series there are, with long rows, and minutes in which much was met."""

from typing import Any

from bench.script_time.stopwatch import Act
from bench.script_time.workshop import Workshop, worst_case
from runner import TokenBucket
from tests.store.builders import job

_MINUTE_US = 60_000_000
_DIGITS = "0123456789abcdefghijklmnopqrstuv"
_PAIRS = [wait + run for wait in _DIGITS for run in _DIGITS]
_CELLS = " ".join(f"s{cell}=12345" for cell in _PAIRS[::12])
"""What a task does whose jobs wait and run for very different times: more than eighty cells."""
_ROW = f"s=100000 {_CELLS} u=100000"
_HOUR = "".join(f"\n{minute}:{_ROW}" for minute in range(59))


async def _series(at: Workshop, names: list[str], hours: int) -> int:
    """Series that are full up to now: the hour of now."""
    hour = at.clock.now_us // _MINUTE_US // 60
    fields: dict[Any, Any] = {f"{kind}{hour - back}": text for back in range(hours) for kind, text in (("m", _HOUR), ("h", _ROW))}
    for name in names:
        await at.redis.hset(at.store.keys.series(name), mapping=fields)
        await at.redis.zadd(at.store.keys.series_names, {name: hour * 60})
    return hour


async def _count(at: Workshop, fields: dict[str, int]) -> None:
    """A minute in which so much was met."""
    minute = at.clock.now_us // _MINUTE_US
    for begin in range(0, len(fields), 1_000):
        await at.redis.hset(at.store.keys.minute(minute), mapping=dict(list(fields.items())[begin : begin + 1_000]))
    await at.redis.zadd(at.store.keys.counts, {str(minute): minute})


@worst_case("roll", "series")
async def _(at: Workshop) -> Act:
    names = [f"t:task-{n}" for n in range(100)]
    await _series(at, [*names, "q"], 1)

    async def act() -> object:
        if not (await at.store.roll()).more:
            at.clock.advance(60)
            await _count(at, {f"{name}|s{cell}": 1 for name in names for cell in _PAIRS[::12]})
            at.clock.advance(60)
        return True

    return act


@worst_case("roll", "cells")
async def _(at: Workshop) -> Act:
    """Of one series everything was met that there can be."""
    await _count(at, {f"t:work|{letter}{cell}": 1 for letter in "sfcr" for cell in _PAIRS} | {f"l:{n}|t": 1 for n in range(at.size // 10)})
    at.clock.advance(60)

    async def act() -> object:
        return (await at.store.roll()).moved

    return act


@worst_case("sample", "limits")
async def _(at: Workshop) -> Act:
    """As many limits as are looked at, each with lines, and one with many buckets."""
    await at.submit([job(f"u{n}", needs=[f"u-{n // 100}"], share=f"t{n % 100}") for n in range(at.size // 2)])
    await at.buckets("k", at.size // 4)
    await at.let_go("k", key="{k}")
    await at.publish(*(TokenBucket(f"u-{n}", rate="1/h") for n in range(min(at.size // 200, 499))))

    async def act() -> object:
        at.clock.advance(60)
        return await at.store.sample()

    return act


@worst_case("history", "minutes")
async def _(at: Workshop) -> Act:
    """A day of a hundred series, and what was not moved yet."""
    names = [f"t:task-{n}" for n in range(100)]
    hour = await _series(at, names, 24)
    await _count(at, {f"{name}|s{cell}": 1 for name in names for cell in _PAIRS[:14]})

    async def act() -> object:
        return await at.store.history(names[:10], hour - 23, hour, by_minute=True)

    return act


@worst_case("series", "tasks")
async def _(at: Workshop) -> Act:
    await at.redis.zadd(at.store.keys.series_names, {f"t:task-{n}": 1 for n in range(5_000)})

    async def act() -> object:
        return await at.store.series()

    return act


@worst_case("day", "cells")
async def _(at: Workshop) -> Act:
    """The queue was as busy as it can be, and what one call reads was not moved yet."""
    await _series(at, ["q"], 26)
    await _count(at, {f"t:task-{n}|s{cell}": 1 for n in range(3) for cell in _PAIRS[:1_000]})

    async def act() -> object:
        return await at.store.ended_in_a_day()

    return act


@worst_case("spent", "keys")
async def _(at: Workshop) -> Act:
    """Two months of a budget of which a thousand keys have spent on each day."""
    day = at.clock.now_us // (1_440 * _MINUTE_US)
    for back in range(62):
        await at.redis.hset(at.store.keys.spent("plan", day - back), mapping={f"k:{'t' * 30}-{n}": 123_456_789 for n in range(1_000)})

    async def act() -> object:
        return await at.store.spent("plan", day - 61, day, by_key=True)

    return act
