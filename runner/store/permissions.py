"""What this user may do on the server: every command of the scripts and of the library, tried on a scratch key."""

import secrets
from collections.abc import Mapping

from redis.exceptions import MovedError, NoPermissionError, ResponseError

from runner.connection import Topology, command
from runner.store.finding import Finding, Level
from runner.store.queue import QueueStore

_SCRATCH_TTL_MS = "10000"
AS_A_CLUSTER = "its URL is that of a single one: write redis+cluster://host:port,host2:port"

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
    "LPOP": ("KEY", "1"),
    "LPUSH": ("KEY", "x"),
    "RPUSH": ("KEY", "x"),
    "LTRIM": ("KEY", "0", "0"),
    "HDEL": ("KEY", "x"),
    "HEXISTS": ("KEY", "x"),
    "HGET": ("KEY", "x"),
    "HGETALL": ("KEY",),
    "HINCRBY": ("KEY", "x", "1"),
    "HKEYS": ("KEY",),
    "HLEN": ("KEY",),
    "HMGET": ("KEY", "x"),
    "HSCAN": ("KEY", "0"),
    "SCAN": ("0", "MATCH", "KEY", "COUNT", "1"),
    "HSET": ("KEY", "x", "1"),
    "HSTRLEN": ("KEY", "x"),
    "SADD": ("KEY", "x"),
    "SCARD": ("KEY",),
    "SISMEMBER": ("KEY", "x"),
    "SRANDMEMBER": ("KEY", "1"),
    "SSCAN": ("KEY", "0"),
    "SREM": ("KEY", "x"),
    "ZADD": ("KEY", "1", "x"),
    "ZCARD": ("KEY",),
    "ZCOUNT": ("KEY", "0", "0"),
    "ZRANDMEMBER": ("KEY", "1"),
    "ZRANGE": ("KEY", "0", "0"),
    "ZRANGEBYLEX": ("KEY", "-", "+"),
    "ZRANGEBYSCORE": ("KEY", "0", "0"),
    "ZRANK": ("KEY", "x"),
    "ZREM": ("KEY", "x"),
    "ZREMRANGEBYRANK": ("KEY", "0", "0"),
    "ZREVRANGEBYSCORE": ("KEY", "0", "0"),
    "ZSCAN": ("KEY", "0"),
    "ZSCORE": ("KEY", "x"),
    "XACK": ("KEY", "x", "0-1"),
    "XADD": ("KEY", "*", "x", "1"),
    "XCLAIM": ("KEY", "x", "x", "0", "0-1"),
    "XDEL": ("KEY", "0-1"),
    "XGROUP CREATE": ("KEY", "x", "0"),
    "XGROUP DELCONSUMER": ("KEY", "x", "x"),
    "XINFO CONSUMERS": ("KEY", "x"),
    "XINFO GROUPS": ("KEY",),
    "XLEN": ("KEY",),
    "XPENDING": ("KEY", "x"),
    "XRANGE": ("KEY", "-", "+"),
    "XREAD": ("COUNT", "1", "STREAMS", "KEY", "0"),
    "XREADGROUP": ("GROUP", "x", "x", "STREAMS", "KEY", ">"),
    "XREVRANGE": ("KEY", "+", "-"),
    "RENAME": ("KEY", "KEY"),
    "PERSIST": ("KEY",),
    "PEXPIRE": ("KEY", _SCRATCH_TTL_MS),
    "PTTL": ("KEY",),
    "PEXPIREAT": ("KEY", "1"),
    "DEL": ("KEY",),
    "UNLINK": ("KEY",),
}
"""Every command of the scripts and of the library, with harmless arguments, in this order. KEY is a scratch key that holds a string, so
most commands reply that it has the wrong type, which shows that they are permitted; the last ones remove it."""


async def check_access(store: QueueStore) -> Finding:
    """Try every command of the library with a scratch key, which is gone afterwards. Raises redis's MovedError in a cluster whose slot moved."""
    scratch = store.keys.check(secrets.token_hex(6))
    try:
        refused = [name for name, words in REHEARSAL.items() if not await _is_permitted(store, name, words, scratch)]
    except MovedError as error:
        if store.locator.address.topology is Topology.cluster:
            raise
        where = f"queue {store.keys.queue} is at node {error.host}:{error.port} of a cluster"
        return Finding("access", Level.error, f"{where}, not at this one, and {AS_A_CLUSTER}")
    refused += await _refused_subscription(store, scratch)
    if refused:
        keys = f"keys and channels {store.keys.prefix}*"
        return Finding(
            "access", Level.error, f"this user may not call {', '.join(refused).lower()} on {keys}: see docs/howto/operations.md"
        )
    return Finding("access", Level.ok, f"{len(REHEARSAL) + 2} commands on {store.keys.prefix}*")


async def _is_permitted(store: QueueStore, name: str, words: tuple[str, ...], scratch: str) -> bool:
    try:
        await command(store.redis, *name.split(), *(scratch if word == "KEY" else word for word in words))
    except NoPermissionError:
        return False
    except MovedError:
        raise
    except ResponseError:
        return True  # Redis checks permissions first
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
