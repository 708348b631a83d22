"""What Redis holds, seen from inside: buckets, streams, lines and wakes, and whether they fit together."""

import json
from collections.abc import Sequence

from runner.connection.client import command
from runner.jobs.job import Priority
from runner.limits import BucketState
from runner.store.job_store import JobStore
from runner.store.keys import GROUP
from tests.store.builders import START_US


async def all_keys(store: JobStore) -> list[str]:
    """Every key of the queue."""
    cursor = b"0"
    found: set[str] = set()
    while True:
        cursor, page = await command(store.redis, "SCAN", cursor, "MATCH", f"{store.keys.prefix}*", "COUNT", 1000)
        found.update(key.decode() for key in page)
        if cursor == b"0":
            return sorted(found)


async def states(store: JobStore, names: Sequence[str]) -> list[str]:
    """The state of each job, 'unknown' for one that does not exist."""
    return ["unknown" if status is None else status.state.value for status in await store.get(names)]


async def versions(store: JobStore) -> dict[str, int]:
    """The version of what the code says of each limit."""
    flat = await command(store.redis, "HGETALL", store.keys.limits)
    return {name.decode(): json.loads(entry)["code"]["version"] for name, entry in zip(flat[::2], flat[1::2], strict=True)}


async def bucket_state(store: JobStore, bucket: str) -> BucketState:
    """What Redis holds of a bucket; a full one if it holds nothing."""
    fields = await command(store.redis, "HMGET", store.keys.bucket(bucket), "deficit", "time", "frozen_until")
    return BucketState(*(int(value or 0) for value in fields))


async def spoken_for(store: JobStore, bucket: str) -> tuple[int, int]:
    """(reserved credits, released jobs) of a bucket: what is on the streams, on its way to a claim."""
    reserved, released = await command(store.redis, "HMGET", store.keys.bucket(bucket), "reserved", "released")
    return int(reserved or 0), int(released or 0)


EXPIRE_TIME = """
local function now_ms() local now = redis.call('TIME') return now[1] * 1000 + math.floor(now[2] / 1000) end
local before, ttl_ms
repeat before, ttl_ms = now_ms(), redis.call('PTTL', KEYS[1]) until before == now_ms()
return ttl_ms < 0 and ttl_ms or string.format('%.0f', before + ttl_ms)
"""
"""PEXPIRETIME, which Redis 6.2 does not have."""


async def expires_at_ms(store: JobStore, key: str) -> int:
    """The instant at which Redis forgets a key; -1 if it never does, -2 if there is none."""
    return int(await command(store.redis, "EVAL", EXPIRE_TIME, 1, key))


async def forgotten_at(store: JobStore, key: str) -> int | None:
    """When Redis forgets a key, in ms from START_US; None if it never does, -1 if there is none."""
    at_ms = await expires_at_ms(store, key)
    return None if at_ms == -1 else -1 if at_ms == -2 else at_ms - START_US // 1000


async def field(store: JobStore, bucket: str, name: str) -> int:
    """One number of a bucket's hash, 0 if it is not there."""
    return int(await command(store.redis, "HGET", store.keys.bucket(bucket), name) or 0)


async def stream_ids(store: JobStore) -> list[str]:
    """The jobs on the streams, high to low, those held by a worker included."""
    found: list[str] = []
    for priority in Priority:
        found += [fields[1].decode() for _, fields in await command(store.redis, "XRANGE", store.keys.stream(priority), "-", "+")]
    return found


async def line_ids(store: JobStore, line: str) -> list[str]:
    """The jobs waiting in a line, the next one first."""
    return [job_id.decode() for job_id in await command(store.redis, "ZRANGE", store.keys.line(line), 0, -1)]


async def pending_count(store: JobStore, worker: str) -> int:
    """Entries Redis thinks this worker holds."""
    total = 0
    for priority in Priority:
        if await command(store.redis, "EXISTS", store.keys.stream(priority)):
            total += len(await command(store.redis, "XPENDING", store.keys.stream(priority), GROUP, "-", "+", 10_000, worker))
    return total


async def consumers(store: JobStore) -> set[str]:
    """The consumers of all streams."""
    found: set[str] = set()
    for priority in Priority:
        if await command(store.redis, "EXISTS", store.keys.stream(priority)):
            found |= {row[1].decode() for row in await command(store.redis, "XINFO", "CONSUMERS", store.keys.stream(priority), GROUP)}
    return found


async def nudged(store: JobStore) -> bool:
    """Whether the leader was interrupted since the last look."""
    return await command(store.redis, "LPOP", store.keys.nudge) is not None


async def scores(store: JobStore, key: str) -> dict[str, int]:
    """A sorted set: members with their scores, in order, without the fractions a pass can have."""
    flat = await command(store.redis, "ZRANGE", key, 0, -1, "WITHSCORES")
    return {member.decode(): int(float(score)) for member, score in zip(flat[::2], flat[1::2], strict=True)}


async def wakes(store: JobStore) -> dict[str, int]:
    """When each bucket with waiting lines can next serve, in µs from START_US."""
    return {name: score - START_US for name, score in (await scores(store, store.keys.wakes)).items()}


async def inconsistencies(store: JobStore) -> list[str]:
    """What is wrong with lines, buckets and wakes: a line that is not empty stands at exactly one bucket, and that has a wake.

    And how many wait in lines is known.
    """
    keys = store.keys
    found = []
    standing: dict[str, list[str]] = {}
    awake = await wakes(store)
    every_key = await all_keys(store)
    for key in every_key:
        if key.startswith(keys.lines_waiting("")):
            bucket = key.removeprefix(keys.lines_waiting(""))
            if bucket not in awake:
                found.append(f"bucket {bucket} has lines and no wake")
            for line in await scores(store, key):
                standing.setdefault(line, []).append(bucket)
    lines = [key.removeprefix(keys.line("")) for key in every_key if key.startswith(keys.line(""))]
    for line in lines:
        places = standing.pop(line, [])
        if len(places) != 1 or places[0] not in line.partition("@")[0].split(";"):
            found.append(f"line {line} stands at {places}")
    waiting = sum([int(await command(store.redis, "ZCARD", keys.line(line))) for line in lines])
    counted = int(await command(store.redis, "GET", keys.waiting) or 0)
    if counted != waiting:
        found.append(f"{waiting} wait in lines and {counted} are counted")
    return found + [f"empty line {line} stands at {places}" for line, places in standing.items()]


async def commands(store: JobStore) -> int:
    """Commands this server has executed so far, those of scripts included."""
    text = (await command(store.redis, "INFO", "commandstats")).decode()
    return sum(int(row.partition("calls=")[2].partition(",")[0]) for row in text.splitlines() if row.startswith("cmdstat_"))
