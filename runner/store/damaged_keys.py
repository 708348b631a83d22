"""What the doctor finds of keys that hold something else than they should: which, and what becomes of the queue once they are deleted."""

from redis.exceptions import NoPermissionError, ResponseError

from runner.connection import command, translated_errors
from runner.jobs import Priority
from runner.store.finding import Finding, Level
from runner.store.queue import QueueStore

_PROBES = {
    "hash": ("HEXISTS", "KEY", "x"),
    "sorted set": ("ZCARD", "KEY"),
    "text": ("GET", "KEY"),
    "stream": ("XLEN", "KEY"),
    "list": ("LTRIM", "KEY", "0", "-1"),
}
"""A command for each type that changes nothing, of those that are permitted."""
_WRONG = "WRONGTYPE"
_LOST_JOBS = "submit again what it held"
_STARTS_ANEW = "it fills by itself"
_PUBLISHED = "restart a worker, which publishes it again"
_KEYS = {
    **{f"stream:{priority.name}": ("stream", _LOST_JOBS) for priority in Priority},
    "scheduled": ("sorted set", _LOST_JOBS),
    "expiring": ("sorted set", "jobs that wait now do so beyond their max_wait"),
    "bounces": ("text", _STARTS_ANEW),
    "unserved": ("sorted set", _STARTS_ANEW),
    "unique": ("hash", "unique jobs that have not ended can be submitted again"),
    "sweeps": ("hash", _STARTS_ANEW),
    "wakes": ("sorted set", "the leader wakes every bucket that waits"),
    "wakes:before": ("sorted set", _STARTS_ANEW),
    "workers": ("sorted set", "workers enlist again"),
    "serving": ("sorted set", "workers enter it as they renew their leases"),
    "failed": ("sorted set", "dead letters of before are listed nowhere"),
    "throttled": ("sorted set", _STARTS_ANEW),
    "limits": ("hash", f"{_PUBLISHED}; overrides and pauses are lost"),
    "specs": ("hash", _PUBLISHED),
    "catalog": ("hash", _PUBLISHED),
    "seen": ("hash", _PUBLISHED),
    "format": ("hash", _PUBLISHED),
    "records": ("hash", _STARTS_ANEW),
    "retimes": ("hash", _STARTS_ANEW),
    "keys": ("hash", "make the keys of the API again"),
    "keys:used": ("hash", _STARTS_ANEW),
    "history": ("stream", _STARTS_ANEW),
    "counts": ("sorted set", "what was counted since the leader last looked, a minute or two, is in no history"),
    "series": ("sorted set", _STARTS_ANEW),
    "warnings": ("sorted set", "what was to be told of budgets, and was not yet, is lost"),
    "audit": ("stream", _STARTS_ANEW),
    "starts": ("stream", _STARTS_ANEW),
    "waiting": ("text", "the leader counts anew"),
    "seq": ("text", "jobs that come now stand before those that wait"),
    "leader": ("text", "another leader is elected"),
    "watcher": ("text", _STARTS_ANEW),
    "clock": ("text", _STARTS_ANEW),
    "nudge": ("list", _STARTS_ANEW),
}
"""Every key that a queue has one of: what it holds, and what follows once it is deleted."""
NAMES = tuple(_KEYS)


async def damaged_keys(store: QueueStore) -> list[str]:
    """What is wrong with each key that holds something else than it should. Raises `StoreUnavailable`, and redis's NoPermissionError."""
    wrong = []
    with translated_errors():
        for name, (kind, after) in _KEYS.items():
            key = store.keys.prefix + name
            try:
                await command(store.redis, *(key if word == "KEY" else word for word in _PROBES[kind]))
            except ResponseError as error:
                if not str(error).startswith(_WRONG):
                    raise
                wrong.append(f"key {key} should hold a {kind} and holds something else: delete it (DEL {key}), then {after}")
    return wrong


async def examine_keys(store: QueueStore) -> Finding:
    """The same as a finding."""
    try:
        wrong = await damaged_keys(store)
    except NoPermissionError:
        return Finding("keys", Level.unknown, "could not check the types of the queue's keys: this user may not read them")
    if wrong:
        return Finding("keys", Level.warning, "; ".join(wrong))
    return Finding("keys", Level.ok, f"{len(_KEYS)} keys hold what they should")
