"""Stats: what a queue has in Redis's memory, by kind of key: an estimate, from some of the keys of each kind."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import randrange
from typing import NamedTuple

from redis.exceptions import NoPermissionError, ResponseError

from runner.clock import monotonic_s
from runner.connection import command, translated_errors
from runner.store.queue import QueueStore
from runner.store.server_facts import info_of
from runner.store.text import decoded

LOOKS_S = 2.0
"""How long the keys are gone through, unless all of them are wanted."""
_A_PAGE = 1_000
_MEASURED_FIRST = 25
"""Keys of each kind that are measured before one of many is."""
_ONE_OF = 100
_KINDS: Mapping[str, str] = {
    "job": "jobs",
    "line": "lines",
    "lines": "lines",
    "records": "lines",
    "claims": "lines",
    "wakes": "lines",
    "waiting": "lines",
    "retimes": "lines",
    "stream": "streams",
    "bucket": "buckets",
    "taken": "buckets",
    "holders": "buckets",
    "periods": "buckets",
    "unique": "marks",
    "after": "flows",
    "followers": "flows",
    "batch": "flows",
    "held": "flows",
    "flow": "flows",
    "tag": "tags",
    "history": "history",
    "counts": "history",
    "series": "history",
    "spent": "history",
    "warnings": "history",
    "starts": "history",
    "overview": "history",
    "failed": "ended",
    "cancelled": "ended",
    "expired": "ended",
    "retentions": "ended",
    "specs": "catalog",
    "limits": "catalog",
    "catalog": "catalog",
    "seen": "catalog",
    "serves": "catalog",
    "serving": "catalog",
    "schedule": "schedules",
    "schedules": "schedules",
    "audit": "audit",
    "bulk": "audit",
    "bulks": "audit",
}
"""The kind of a key by the first word of its name."""
_OTHER = "other"
_SAMPLES = 50
"""Members of a key that are measured. Of a job all are: its arguments and its result may be larger than all the rest."""
_SINGLE = (
    *(
        "records",
        "wakes",
        "waiting",
        "retimes",
        "scheduled",
        "expiring",
        "unserved",
        "unique",
        "held",
        "history",
        "starts",
        "failed",
        "cancelled",
    ),
    *(
        "expired",
        "throttled",
        "retentions",
        "specs",
        "limits",
        "catalog",
        "seen",
        "serving",
        "schedules",
        "schedules:due",
        "workers",
        "keys",
    ),
    *("audit", "bulks", "stream:high", "stream:normal", "stream:low"),
)
"""Keys of which there is one in a queue, and which can be large: each is measured."""


@dataclass(frozen=True, slots=True)
class MemoryOfKind:
    """What the keys of one kind take: how many there are, their bytes, and how many of them were measured."""

    kind: str
    keys: int
    bytes: int
    measured: int


@dataclass(frozen=True, slots=True)
class MemoryStats:
    """What a queue has in Redis's memory. `kinds` has the largest first; jobs are told by state: "jobs succeeded".

    is_complete: all keys were gone through; else their numbers are estimates too, from the part of the server's keys that was. used, most: bytes of
    the whole server, and its `maxmemory` (0: none). largest_after: members of the largest set of what one job or batch waits for, of those met.
    """

    kinds: tuple[MemoryOfKind, ...]
    is_complete: bool
    used: int = 0
    most: int = 0
    largest_after: int = 0
    measures: bool = True
    """False: this user may not call `MEMORY USAGE`, so the numbers of keys are all there is."""

    @property
    def bytes(self) -> int:
        """Of all kinds together."""
        return sum(one.bytes for one in self.kinds)


class _Place(NamedTuple):
    kind: str
    is_job: bool
    is_after: bool


@dataclass(slots=True)
class _Sample:
    """What was found of one kind so far."""

    keys: int = 0
    """Of which there are many: what was met."""
    measured: int = 0
    bytes: int = 0
    single: int = 0
    """Of which there is one each."""
    single_bytes: int = 0


@dataclass(slots=True)
class _Walk:
    """One look through the keys of a server."""

    store: QueueStore
    samples: dict[str, _Sample] = field(default_factory=lambda: defaultdict(_Sample))
    jobs_by_state: dict[str, _Sample] = field(default_factory=lambda: defaultdict(_Sample))
    largest_after: int = 0
    measures: bool = True

    async def measure_single(self) -> None:
        for name in _SINGLE:
            size = await self._measured(f"{self.store.keys.prefix}{name}", _SAMPLES)
            if size is not None:
                sample = self.samples[_place_of(name).kind]
                sample.single += 1
                sample.single_bytes += size

    async def look(self, name: str) -> None:
        if name in _SINGLE:
            return
        place = _place_of(name)
        sample = self.samples[place.kind]
        sample.keys += 1
        if sample.measured >= _MEASURED_FIRST and randrange(_ONE_OF):
            return
        key = f"{self.store.keys.prefix}{name}"
        size = await self._measured(key, 0 if place.is_job else _SAMPLES)
        if size is None:
            return  # it has gone meanwhile
        sample.measured += 1
        sample.bytes += size
        if place.is_job:
            await self._note_state(key, size)
        elif place.is_after:
            self.largest_after = max(self.largest_after, int(await command(self.store.redis, "ZCARD", key)))

    async def _measured(self, key: str, samples: int) -> int | None:
        if not self.measures:
            return 0
        try:
            size = await command(self.store.redis, "MEMORY", "USAGE", key, "SAMPLES", samples)
        except NoPermissionError:
            self.measures = False
            return 0
        return None if size is None else int(size)

    async def _note_state(self, key: str, size: int) -> None:
        try:
            (state,) = await command(self.store.redis, "HMGET", key, "state")
        except ResponseError:
            state = None
        of_state = self.jobs_by_state["unreadable" if state is None else decoded(state)]
        of_state.measured += 1
        of_state.bytes += size

    def kinds(self, part: float) -> list[MemoryOfKind]:
        """What there is, if this part of all keys was gone through."""
        found = []
        for kind, sample in self.samples.items():
            keys = round(sample.keys / part)
            each = sample.bytes / sample.measured if sample.measured else 0.0
            if kind == "jobs":
                for state, of_state in self.jobs_by_state.items():
                    share = keys * of_state.measured / sample.measured
                    size = round(share * of_state.bytes / of_state.measured)
                    found.append(MemoryOfKind(f"jobs {state}", round(share), size, of_state.measured))
            else:
                size = round(keys * each) + sample.single_bytes
                found.append(MemoryOfKind(kind, keys + sample.single, size, sample.measured + sample.single))
        return sorted(found, key=lambda one: (-one.bytes, -one.keys, one.kind))


async def memory_stats(store: QueueStore, *, whole: bool = False, looks_s: float = LOOKS_S) -> MemoryStats:
    """Go through the keys of the server for some seconds, or `whole`, outside of scripts, and measure some. Raises `StoreUnavailable`.

    Of a server with other queues their keys are passed over.
    """
    walk, prefix = _Walk(store), store.keys.prefix.encode()
    until_s = monotonic_s() + looks_s
    passed, cursor = 0, b"0"
    with translated_errors():
        await walk.measure_single()
        while True:
            cursor, keys = await command(store.redis, "SCAN", cursor, "COUNT", _A_PAGE)
            passed += len(keys)
            for key in keys:
                if key.startswith(prefix):
                    await walk.look(decoded(key.removeprefix(prefix)))
            if cursor == b"0" or (not whole and monotonic_s() > until_s):
                break
        info = await info_of(store)
    is_complete = cursor == b"0"
    total = sum(
        int(value.partition("keys=")[2].partition(",")[0]) for name, value in info.items() if name.startswith("db") and "keys=" in value
    )
    part = 1.0 if is_complete or not total else min(passed / total, 1.0)
    used, most = (int(info.get(name, "0")) for name in ("used_memory", "maxmemory"))
    return MemoryStats(tuple(walk.kinds(part)), is_complete, used, most, walk.largest_after, walk.measures)


def _place_of(name: str) -> _Place:
    word = name.partition(":")[0]
    return _Place(_KINDS.get(word, _OTHER), word == "job", word == "after")
