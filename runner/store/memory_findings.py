"""What doctor finds about memory that jobs take after their end, and about what grows without being looked at."""

from collections.abc import AsyncIterator

from redis.exceptions import NoPermissionError

from runner.clock import MICROSECONDS
from runner.connection import command, translated_errors
from runner.store.finding import Finding, Level
from runner.store.queue import QueueStore
from runner.store.stats import MemoryStats, memory_stats

_LOOKS_S = 0.5
_MOST_IN_RESULTS = 0.1
_MOST_MARKS = 1_000_000
_MOST_AFTER = 100_000
_DAY_S = 86_400


async def examine_memory(store: QueueStore) -> list[Finding]:
    """One finding at least. Raises `StoreUnavailable`."""
    try:
        memory = await memory_stats(store, looks_s=_LOOKS_S)
    except NoPermissionError:
        return [Finding("kept", Level.unknown, "could not check what ended jobs take of memory: this user may not go through keys")]
    findings = [finding async for finding in _warnings(store, memory)]
    return findings or [Finding("kept", Level.ok, "ended jobs take little memory, and no dead letter is about to be forgotten")]


async def _warnings(store: QueueStore, memory: MemoryStats) -> AsyncIterator[Finding]:
    results = sum(one.bytes for one in memory.kinds if one.kind == "jobs succeeded")
    if memory.most and results > _MOST_IN_RESULTS * memory.most:
        share = f"{100 * results / memory.most:.0f} % of maxmemory"
        yield Finding("kept", Level.warning, f"jobs that succeeded take about {share}: shorten result_ttl of busy tasks, or result_ttl_s")
    forgotten = await _soon_forgotten(store)
    if forgotten:
        text = f"{forgotten} dead letters will be forgotten within a day, the oldest first: look at them, and retry or delete them"
        yield Finding("dead letters", Level.warning, text)
    if memory.largest_after > _MOST_AFTER:
        text = f"a job or a batch waits for {memory.largest_after} others: bring them in smaller batches"
        yield Finding("flows", Level.warning, text)
    with translated_errors():
        marks = int(await command(store.redis, "HLEN", f"{store.keys.prefix}unique"))
    if marks > _MOST_MARKS:
        yield Finding("marks", Level.warning, f"{marks} marks of unique jobs are kept: shorten the periods for which they hold")


async def _soon_forgotten(store: QueueStore) -> int:
    """Dead letters that have a day left, of those that are kept for several."""
    kept_s = store.settings.failed_ttl_s
    if kept_s < 2 * _DAY_S:
        return 0
    with translated_errors():
        seconds, _ = await command(store.redis, "TIME")
        until_us = (int(seconds) - int(kept_s) + _DAY_S) * MICROSECONDS
        return int(await command(store.redis, "ZCOUNT", store.keys.failed, "-inf", until_us))
