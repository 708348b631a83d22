"""What can be wrong with a server before the first job: its version, role, settings, clock, and what this user may do there.

`examine` looks and leaves nothing behind; what it may not ask it says it could not check.
"""

import enum
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis.exceptions import AuthenticationError, MovedError, NoPermissionError, ResponseError

from runner.clock import MICROSECONDS, wall_us
from runner.connection import Topology, command, translated_errors
from runner.errors import ConfigurationError
from runner.store.queue import QueueStore

log = logging.getLogger("runner")

OLDEST_VERSION = (6, 2)
_MOST_CLOCK_OFFSET_S = 60.0
_SCRATCH_TTL_MS = "10000"
_AS_A_CLUSTER = "its URL is that of a single one: write redis+cluster://host:port,host2:port"

REHEARSAL: Mapping[str, tuple[str, ...]] = {
    "SET": ("KEY", "check", "PX", _SCRATCH_TTL_MS),
    "GET": ("KEY",),
    "EXISTS": ("KEY",),
    "INCR": ("KEY",),
    "INCRBY": ("KEY", "1"),
    "TIME": (),
    "PING": (),
    "PUBLISH": ("KEY", ""),
    "EVAL": ("return 1", "1", "KEY"),
    "EVALSHA": ("0" * 40, "1", "KEY"),
    "BLPOP": ("KEY", "0.001"),
    "LPUSH": ("KEY", "x"),
    "LTRIM": ("KEY", "0", "0"),
    "HDEL": ("KEY", "x"),
    "HGET": ("KEY", "x"),
    "HGETALL": ("KEY",),
    "HINCRBY": ("KEY", "x", "1"),
    "HMGET": ("KEY", "x"),
    "HSET": ("KEY", "x", "1"),
    "SADD": ("KEY", "x"),
    "SMEMBERS": ("KEY",),
    "SREM": ("KEY", "x"),
    "ZADD": ("KEY", "1", "x"),
    "ZCARD": ("KEY",),
    "ZRANGE": ("KEY", "0", "0"),
    "ZRANGEBYSCORE": ("KEY", "0", "0"),
    "ZRANK": ("KEY", "x"),
    "ZREM": ("KEY", "x"),
    "ZREMRANGEBYRANK": ("KEY", "0", "0"),
    "ZREMRANGEBYSCORE": ("KEY", "0", "0"),
    "ZREVRANGEBYSCORE": ("KEY", "0", "0"),
    "ZSCORE": ("KEY", "x"),
    "XACK": ("KEY", "x", "0-1"),
    "XADD": ("KEY", "*", "x", "1"),
    "XCLAIM": ("KEY", "x", "x", "0", "0-1"),
    "XDEL": ("KEY", "0-1"),
    "XGROUP CREATE": ("KEY", "x", "0"),
    "XGROUP DELCONSUMER": ("KEY", "x", "x"),
    "XINFO CONSUMERS": ("KEY", "x"),
    "XLEN": ("KEY",),
    "XPENDING": ("KEY", "x"),
    "XRANGE": ("KEY", "-", "+"),
    "XREADGROUP": ("GROUP", "x", "x", "STREAMS", "KEY", ">"),
    "XREVRANGE": ("KEY", "+", "-"),
    "PERSIST": ("KEY",),
    "PEXPIRE": ("KEY", _SCRATCH_TTL_MS),
    "PEXPIREAT": ("KEY", "1"),
    "DEL": ("KEY",),
}
"""Every command of the scripts and of the library, with harmless arguments, in this order: KEY is a scratch key that holds a string,
so most answer that it is of the wrong type, which shows that they are permitted; the last ones remove it."""


class Level(enum.StrEnum):
    """What a finding asks for: nothing, attention, a remedy before anything can start, or a look by somebody who may."""

    ok = "ok"
    warning = "warning"
    error = "error"
    unknown = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, and in one line what was found and what to do."""

    check: str
    level: Level
    text: str


async def examine(store: QueueStore) -> list[Finding]:
    """Look at the server of a queue. Raises `StoreUnavailable` if it cannot be reached or serve right now."""
    with translated_errors():
        try:
            info = _parsed(await command(store.redis, "INFO"))
        except NoPermissionError:
            info = {}
        except AuthenticationError as error:
            return [Finding("access", Level.error, f"the user or password of the URL is refused ({error}): correct the URL")]
        findings = [_version(info), _role(info, store.locator.address.topology), _memory(info), _durability(info)]
        if any(finding.level is Level.error for finding in findings[:2]):
            return findings  # what follows would fail for the same reason
        return [*findings, await _clock(store), await _access(store)]


async def refuse_unfit_server(store: QueueStore) -> None:
    """Log what should be seen to. Raises `ConfigurationError` naming all that must be, in one line; `StoreUnavailable`."""
    findings = await examine(store)
    for finding in findings:
        if finding.level in (Level.warning, Level.unknown):
            log.warning("check of Redis: %s", finding.text)
    wrong = [finding.text for finding in findings if finding.level is Level.error]
    if wrong:
        raise ConfigurationError(f"Redis cannot be used as it is: {'; '.join(wrong)}")


def _version(info: Mapping[str, str]) -> Finding:
    compatible = info.get("redis_version")
    if compatible is None:
        return _unknown("version", "the version", "info")
    name = f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {compatible}"
    numbers = tuple(int(part) for part in compatible.split(".")[:2] if part.isdecimal())
    if numbers < OLDEST_VERSION:
        oldest = ".".join(map(str, OLDEST_VERSION))
        return Finding("version", Level.error, f"{name} is too old: upgrade it to {oldest} or newer, or to Valkey")
    return Finding("version", Level.ok, name)


def _role(info: Mapping[str, str], topology: Topology) -> Finding:
    if "role" not in info:
        return _unknown("role", "whether it is a primary", "info")
    if info["role"] != "master":
        remedy = f"connect to its primary {info.get('master_host')}:{info.get('master_port')}, or write redis+sentinel://... to follow it"
        return Finding("role", Level.error, f"this server is a replica, which takes no jobs: {remedy}")
    if info.get("redis_mode", info.get("server_mode")) == "cluster" and topology is not Topology.cluster:
        return Finding("role", Level.warning, f"this server is a node of a cluster, and {_AS_A_CLUSTER} to follow the queue")
    return Finding("role", Level.ok, f"primary, {topology.value}, replicas: {info.get('connected_slaves', '0')}")


def _memory(info: Mapping[str, str]) -> Finding:
    policy = info.get("maxmemory_policy")
    if policy is None:
        return _unknown("memory", "maxmemory-policy, which must be noeviction", "info")
    if policy != "noeviction":
        why = "Redis may evict a bucket or a job, so that limits break and jobs are lost"
        return Finding("memory", Level.error, f"maxmemory-policy is {policy}: set it to noeviction, else {why}")
    most = int(info.get("maxmemory", 0))
    return Finding("memory", Level.ok, f"noeviction, {f'at most {most / 2**20:.0f} MB' if most else 'no limit'}")


def _durability(info: Mapping[str, str]) -> Finding:
    enabled = info.get("aof_enabled")
    if enabled is None:
        return _unknown("durability", "whether the append-only file is on", "info")
    if enabled != "1":
        return Finding("durability", Level.warning, "the append-only file is off: a restart of Redis loses jobs; set appendonly yes")
    return Finding("durability", Level.ok, "append-only file")


async def _clock(store: QueueStore) -> Finding:
    try:
        seconds, micros = await command(store.redis, "TIME")
    except NoPermissionError:
        return _unknown("clock", "its clock", "time")
    ahead_s = int(seconds) + int(micros) / MICROSECONDS - wall_us() / MICROSECONDS
    if abs(ahead_s) > _MOST_CLOCK_OFFSET_S:
        how = f"{abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} that of this machine"
        return Finding("clock", Level.warning, f"its clock is {how}: times given as run_at are off by as much; set one of them right")
    return Finding("clock", Level.ok, f"within {max(abs(ahead_s), 0.001):.3f} s of this machine's")


async def _access(store: QueueStore) -> Finding:
    """Try every command there is, with a scratch key that is gone afterwards."""
    scratch = store.keys.check(secrets.token_hex(6))
    try:
        refused = [name for name, words in REHEARSAL.items() if not await _is_permitted(store, name, words, scratch)]
    except MovedError as error:
        if store.locator.address.topology is Topology.cluster:
            raise
        where = f"queue {store.keys.queue} is at node {error.host}:{error.port} of a cluster"
        return Finding("access", Level.error, f"{where}, not at this one, and {_AS_A_CLUSTER}")
    refused += await _refused_subscription(store, scratch)
    if refused:
        keys = f"keys and channels {store.keys.prefix}*"
        return Finding("access", Level.error, f"this user may not call {', '.join(refused).lower()} on {keys}: see docs/operations.md")
    return Finding("access", Level.ok, f"{len(REHEARSAL) + 2} commands on {store.keys.prefix}*")


async def _is_permitted(store: QueueStore, name: str, words: tuple[str, ...], scratch: str) -> bool:
    try:
        await command(store.redis, *name.split(), *(scratch if word == "KEY" else word for word in words))
    except NoPermissionError:
        return False
    except MovedError:
        raise
    except ResponseError:
        return True  # permission is looked at before anything else
    return True


async def _refused_subscription(store: QueueStore, scratch: str) -> list[str]:
    async with store.redis.pubsub() as channel:
        for call in (channel.subscribe, channel.unsubscribe):
            try:
                await call(scratch)
                await channel.get_message(timeout=store.settings.command_timeout_s)
            except NoPermissionError:
                return [call.__name__]
    return []


def _unknown(check: str, what: str, needed: str) -> Finding:
    return Finding(check, Level.unknown, f"could not check {what}: this user may not call {needed}, or the server does not say")


def _parsed(text: Any) -> dict[str, str]:
    """INFO as a mapping."""
    lines = text.decode(errors="replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))
