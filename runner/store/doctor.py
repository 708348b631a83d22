"""What can be wrong with a server before the first job: its version, role, settings, clock, and the permissions of this user.

`examine` leaves nothing behind. It says of each check for which it lacks a permission that it could not make it.
"""

import logging
from collections.abc import Mapping
from typing import Any

from redis.exceptions import AuthenticationError, NoPermissionError

from runner.clock import MICROSECONDS, wall_us
from runner.connection import Topology, command, translated_errors
from runner.errors import ConfigurationError, DamagedQueue, IncompatibleVersion, NotPermitted
from runner.store.damaged_keys import examine_keys
from runner.store.data_format import FORMAT
from runner.store.finding import Finding, Level
from runner.store.permissions import AS_A_CLUSTER, check_access
from runner.store.queue import QueueStore
from runner.store.text import decoded

log = logging.getLogger("runner")

OLDEST_VERSION = (6, 2)
_MOST_CLOCK_OFFSET_S = 60.0


async def examine(store: QueueStore) -> list[Finding]:
    """Check the server of a queue. Raises `StoreUnavailable` if it cannot be reached or cannot serve now."""
    with translated_errors():
        try:
            info = _parsed(await command(store.redis, "INFO"))
        except NoPermissionError:
            info = {}
        except AuthenticationError as error:
            return [Finding("access", Level.error, f"the user or password of the URL is refused ({error}): correct the URL")]
        findings = [_version(info), _role(info, store.locator.address.topology), _memory(info), _durability(info)]
        if any(finding.level is Level.error for finding in findings[:2]):
            return findings  # the other checks would fail for the same reason
        findings += [await _clock(store), access := await check_access(store)]
        return findings if access.level is Level.error else [*findings, await examine_keys(store), await _format(store)]


async def refuse_unfit_server(store: QueueStore) -> None:
    """Log what an operator should look at. Raises `ConfigurationError` that names every error in one line; `StoreUnavailable`.

    Raises `IncompatibleVersion` if nothing is wrong but the format of the queue's data.
    """
    findings = await examine(store)
    for finding in findings:
        if finding.level in (Level.warning, Level.unknown):
            log.warning("check of Redis: %s", finding.text)
    wrong = [finding for finding in findings if finding.level is Level.error]
    if [finding.check for finding in wrong] == ["format"]:
        raise IncompatibleVersion(wrong[0].text)
    if wrong:
        raise ConfigurationError(f"Redis cannot be used as it is: {'; '.join(finding.text for finding in wrong)}")


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
        return Finding("role", Level.warning, f"this server is a node of a cluster, and {AS_A_CLUSTER} to follow the queue")
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
        return Finding("clock", Level.warning, f"its clock is {how}, and run_at is an instant by Redis's; set one of them right")
    return Finding("clock", Level.ok, f"within {max(abs(ahead_s), 0.001):.3f} s of this machine's")


async def _format(store: QueueStore) -> Finding:
    try:
        await store.check_format()
    except IncompatibleVersion as error:
        return Finding("format", Level.error, str(error))
    except DamagedQueue as error:
        return Finding("format", Level.unknown, f"could not check which versions use the queue: {error}")
    except NotPermitted:
        return _unknown("format", "which versions use the queue", "a command of the scripts")
    return Finding("format", Level.ok, f"format {FORMAT}")


def _unknown(check: str, what: str, needed: str) -> Finding:
    return Finding(check, Level.unknown, f"could not check {what}: this user may not call {needed}, or the server does not say")


def _parsed(text: Any) -> dict[str, str]:
    """INFO as a mapping."""
    lines = decoded(text).splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))
