"""ServerFacts: the server of a queue, as INFO tells of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from redis.exceptions import NoPermissionError

from runner.connection import command, translated_errors
from runner.store.queue import QueueStore
from runner.store.text import decoded


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """The whole server, also if it has other queues. None is what it does not say, or does not say to this user.

    name: "redis" or "valkey". memory_max_bytes: its `maxmemory`; 0 for none. memory_policy: what it does once that is full; only `noeviction`
    keeps every job and every limit. clients: connections to it.
    """

    name: str | None = None
    version: str | None = None
    up_s: int | None = None
    clients: int | None = None
    memory_bytes: int | None = None
    memory_max_bytes: int | None = None
    memory_policy: str | None = None

    @classmethod
    def of(cls, info: Mapping[str, str]) -> Self:
        """From INFO."""
        valkey = info.get("valkey_version")
        return cls(
            name="valkey" if valkey else "redis" if "redis_version" in info else None,
            version=valkey or info.get("redis_version"),
            up_s=_number(info, "uptime_in_seconds"),
            clients=_number(info, "connected_clients"),
            memory_bytes=_number(info, "used_memory"),
            memory_max_bytes=_number(info, "maxmemory"),
            memory_policy=info.get("maxmemory_policy"),
        )


async def server_facts(store: QueueStore) -> ServerFacts:
    """What the server says of itself. Raises `StoreUnavailable`."""
    with translated_errors():
        return ServerFacts.of(await info_of(store))


async def info_of(store: QueueStore) -> dict[str, str]:
    """INFO as a mapping; empty if this user may not ask."""
    try:
        text = decoded(await command(store.redis, "INFO"))
    except NoPermissionError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


def _number(info: Mapping[str, str], name: str) -> int | None:
    text = info.get(name, "")
    return int(text) if text.isdigit() else None
