"""What Redis holds, seen from inside: buckets, streams, lines and wakes, and whether they fit together."""

import json
from collections.abc import Mapping, Sequence

from runner.connection.client import command
from runner.jobs.job import Priority
from runner.limits import BucketState
from runner.limits.naming import limit_name
from runner.store.job_store import JobStore
from runner.store.keys import GROUP
from tests.leftovers import FINAL_STATES, HELD_BY_JOBS
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


async def promised_of(store: JobStore, bucket: str) -> int:
    """Tokens of a bucket that released jobs have still to take, or that lines have set aside."""
    reserved, claims = await command(store.redis, "HMGET", store.keys.bucket(bucket), "reserved", "claims")
    _, aside, until_us = [int(word) for word in (claims or b"0 0 0").split()]
    now_us = store._now_us()
    return int(reserved or 0) + (aside if until_us > now_us else 0)


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
    """A sorted set: members with their scores, in order."""
    flat = await command(store.redis, "ZRANGE", key, 0, -1, "WITHSCORES")
    return {member.decode(): int(float(score)) for member, score in zip(flat[::2], flat[1::2], strict=True)}


NEVER = 2**53 - 1
"""The wake of a bucket that only an event can make serve."""


async def wakes(store: JobStore) -> dict[str, int]:
    """When each bucket with waiting lines can next serve, in µs from START_US; NEVER - START_US if that takes an event."""
    return {name: score - START_US for name, score in (await scores(store, store.keys.wakes)).items()}


async def broken_marks(store: JobStore, marked: Mapping[str, str]) -> list[str]:
    """Marks that two jobs keep, or that a job keeps and that lead elsewhere. `marked`: jobs with theirs."""
    kept: dict[str, str] = {}
    wrong = []
    for name, mark in marked.items():
        state, mode, started = await command(store.redis, "HMGET", store.keys.job(name), "state", "mode", "started")
        if state is None or state.decode() in FINAL_STATES or (mode == b"start" and started):
            continue
        if mark in kept:
            wrong.append(f"jobs {kept[mark]} and {name} have the mark {mark}")
        kept[mark] = name
        holder = await command(store.redis, "HGET", store.keys.unique, mark)
        if holder != b"0 " + name.encode():
            wrong.append(f"job {name} keeps the mark {mark}, which leads to {holder!r}")
    return wrong


async def spent_marks(store: JobStore) -> int:
    """How many marks were given up as their jobs started, and are entered there still."""
    spent = 0
    for value in (await command(store.redis, "HGETALL", store.keys.unique))[1::2]:
        mode, started = await command(store.redis, "HMGET", store.keys.job(value.decode().partition(" ")[2]), "mode", "started")
        spent += mode == b"start" and started is not None
    return spent


async def inconsistencies(store: JobStore) -> list[str]:
    """What is wrong with lines, buckets, claims and wakes, and with the number of those that wait.

    A line that has stepped aside for want of a slot of its pool stands nowhere else. One with one bucket stands there, and that has a wake. One with several stands wherever it has not had its turn, or has a claim, which
    is looked at again. A bucket waits for an event only if it lacks what an event brings, and its limit lists it if that has a key.
    """
    keys = store.keys
    found = []
    standing: dict[str, set[str]] = {}
    entered: dict[str, set[str]] = {}
    awake = await scores(store, keys.wakes) | await scores(store, keys.wakes_before)
    every_key = await all_keys(store)
    retimes = keys.retimes in every_key
    listed = {bucket for key in every_key if key.startswith(keys.buckets_waiting("")) for bucket in await scores(store, key)}
    waited_for = set()
    for key in every_key:
        for where, prefix in ((standing, keys.lines_waiting("")), (entered, keys.claims(""))):
            if key.startswith(prefix):
                bucket = key.removeprefix(prefix)
                waited_for.add(bucket)
                if where is standing and awake.get(bucket) == NEVER and not retimes and not await _waits_for_an_event(store, bucket):
                    found.append(f"bucket {bucket} has lines and waits for no event")
                for line in await scores(store, key):
                    where.setdefault(line, set()).add(bucket)
    found += [f"bucket {bucket} has lines or claims and no wake" for bucket in sorted(waited_for - awake.keys())]
    keyed = {bucket for bucket in waited_for if "/" in bucket}
    found += [f"bucket {bucket} is waited for and not listed by its limit" for bucket in sorted(keyed - listed)]
    found += [f"bucket {bucket} is listed by its limit and not waited for" for bucket in sorted(listed - keyed)]
    lines = [key.removeprefix(keys.line("")) for key in every_key if key.startswith(keys.line(""))]
    records = await command(store.redis, "HGETALL", keys.records)
    texts = {line.decode(): text.decode() for line, text in zip(records[::2], records[1::2], strict=True)}
    aside = [line for key in every_key if key.startswith(keys.lines_of_pool("")) for line in await scores(store, key)]
    found += [f"empty line {line} waits for a slot" for line in aside if line not in lines]
    for line in lines:
        if line in aside:
            here = (standing.pop(line, None), entered.pop(line, None), texts.pop(line, None))
            found += [f"line {line} has stepped aside, and is at {here}"] * any(here)
            continue
        buckets = line.partition("|")[2].partition("@")[0].split(";")
        stands, claims = standing.pop(line, set()), entered.pop(line, set())
        if len(buckets) == 1:
            found += [f"line {line} stands at {sorted(stands)}"] * (stands != set(buckets))
        else:
            found += misplaced(line, buckets, texts.pop(line, ""), stands, claims, has_look=f"!{line}" in awake)
    looks = {name[1:] for name in awake if name.startswith("!")}
    found += [f"{line} is looked at, and has no record" for line in sorted(looks - {line.decode() for line in records[::2]})]
    waiting = sum([int(await command(store.redis, "ZCARD", keys.line(line))) for line in lines])
    impatient = list(await scores(store, keys.expiring))
    found += [
        f"{name} is to expire and is {state}"
        for name, state in zip(impatient, await states(store, impatient), strict=True)
        if state not in {"queued", "waiting", "scheduled", "unknown"}
    ]
    counted = int(await command(store.redis, "GET", keys.waiting) or 0)
    if counted != waiting:
        found.append(f"{waiting} wait in lines and {counted} are counted")
    left = {"stands": standing, "has claims": entered, "has records": texts}
    return found + [f"empty line {line} {what} at {where}" for what, lost in left.items() for line, where in lost.items()]


def misplaced(line: str, buckets: list[str], text: str, stands: set[str], claims: set[str], *, has_look: bool) -> list[str]:
    """What is wrong with a line of several limits, by its record."""
    number, _, _, _, *rest = [int(word) for word in text.split()] or [0] * 4
    marks = dict(zip(buckets, rest[::4] or [2] * len(buckets), strict=True))
    saved = dict(zip(buckets, rest[1::4] or [0] * len(buckets), strict=True))
    found = []
    if stands != {bucket for bucket in buckets if marks[bucket] & 2}:
        found.append(f"line {line} stands at {sorted(stands)}, and its record says {text}")
    if claims != {bucket for bucket in buckets if marks[bucket] & 12}:
        found.append(f"line {line} has claims at {sorted(claims)}, and its record says {text}")
    if not all(marks[bucket] & 3 or saved[bucket] for bucket in buckets):
        found.append(f"line {line} waits nowhere for a turn that it needs: {text}")
    if (number and not (has_look or claims)) or (not number and not (stands or has_look)):
        found.append(f"line {line} is looked at by nobody: {text}")
    return found


async def _waits_for_an_event(store: JobStore, bucket: str) -> bool:
    """Whether the limit or the bucket is paused, or the limit is unknown, or a job holds one of the slots."""
    if await command(store.redis, "HGET", store.keys.bucket(bucket), "paused"):
        return True
    found = await store.limits(limit_name(bucket))
    if not found or found[0].paused:
        return True
    holders = await scores(store, store.keys.holders(bucket))
    return found[0].policy.gives_back and max(holders.values(), default=0) >= HELD_BY_JOBS


async def commands(store: JobStore) -> int:
    """Commands this server has executed so far, those of scripts included."""
    text = (await command(store.redis, "INFO", "commandstats")).decode()
    return sum(int(row.partition("calls=")[2].partition(",")[0]) for row in text.splitlines() if row.startswith("cmdstat_"))
