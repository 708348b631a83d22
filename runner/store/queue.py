"""QueueStore: the connections to one queue, and how a script is called on it. The base of every role of a store."""

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from itertools import chain, count, groupby
from typing import Any, TypeVar

from redis.exceptions import ResponseError

from runner.access import actor_here, leading
from runner.clock import MICROSECONDS, microseconds
from runner.connection import command, connect, located, pair, translated_errors
from runner.jobs import Priority, check_queue_name
from runner.names import DEFAULT_POOL, process_pool
from runner.settings import Settings
from runner.store import clocks, failpoints, replies, scripts
from runner.store.call_watch import NoteCall, watch_calls
from runner.store.data_format import FORMAT, OLDEST_FORMAT
from runner.store.keys import Keys
from runner.store.text import decoded

_BLOCK_MARGIN_S = 1.0

T = TypeVar("T")
Half = tuple[scripts.Argument, ...]


def run_length_encoded(items: Iterable[T], shared: Callable[[T], Half], own: Callable[[T], Half]) -> list[scripts.Argument]:
    """Items as submit.lua and finish.lua take them, in their order: successive ones often differ only in their `own` half.

    Their `shared` half is sent once: how many items follow, that half, and then the `own` half of each.
    """
    words: list[scripts.Argument] = []
    for common, run in groupby(items, key=shared):
        halves = list(map(own, run))
        words.append(len(halves))
        words.extend(common)
        words.extend(chain.from_iterable(halves))
    return words


class QueueStore:
    """The connections to one queue of one server. `now_us` replaces Redis's clock in tests of a store; 0 is the real one.

    `clock` is one that a test has put in the place of Redis's for all stores of the queue. `pools_read` are those that it reads: with `has_processes`
    also those of jobs in child processes beside the pools of the settings. Their streams come last.
    """

    def __init__(
        self, url: str, queue: str, settings: Settings, *, now_us: Callable[[], int] = lambda: 0, has_processes: bool = False
    ) -> None:
        self.keys = Keys(check_queue_name(queue))
        self._prefix = self.keys.prefix
        self.settings = settings
        self.locator = located(url, self.keys.prefix)
        self.redis = connect(self.locator, timeout_s=settings.command_timeout_s)
        # Redis replies to a blocking read only after up to `block_s`, so it has a client with a longer time-out.
        self._blocking = connect(self.locator, timeout_s=settings.block_s + _BLOCK_MARGIN_S)
        failpoints.arm(settings.failpoints, self.redis, self._blocking)
        self.clock = clocks.clock_of(queue)
        if self.clock is not None:
            self.clock.arm(self.redis, self._blocking)
        self._now_us = now_us if self.clock is None else self.clock.now_us
        beside = tuple(process_pool(pool) for pool in settings.pool_names) if has_processes else ()
        self.pools_read = (*settings.pool_names, *beside)
        self._pools_by_slots = _as_text(settings.pool_names), _as_text(beside)
        self._defaults = _Defaults(settings, _as_text(self.pools_read))
        self._turns = count(1)
        self._streams = [self.keys.stream(priority, pool).encode() for pool in self.pools_read for priority in Priority]
        self.process_streams_from = len(Priority) * len(settings.pool_names)
        """The number of the first stream of jobs in child processes, and of all after it."""
        self._number_of = {stream: number for number, stream in enumerate(self._streams)}

    async def close(self) -> None:
        """Close every connection. The store cannot be used afterwards."""
        await self.redis.aclose()
        await self._blocking.aclose()

    def abandon(self) -> None:
        """Close every socket, without the event loop of the connections, which was closed before them."""
        self.redis.abandon()
        self._blocking.abandon()

    def watch_calls(self, note: NoteCall) -> None:
        """Tell of each call from now on: its name, its seconds, and what it raised."""
        watch_calls(note, self.redis, self._blocking)

    async def check(self) -> None:
        """Run a script that only reads: shows that Redis answers, runs Lua, and has finished loading."""
        await self._run("get", ["-"], depth="state", watch=0, most_bytes=0, most_result=0)

    async def check_format(self) -> None:
        """Raises `IncompatibleVersion` if this version cannot work on the queue, because of its data or of a worker that holds a lease."""
        replies.check_versions(self.keys.queue, await self._run("check_format"))

    async def _server_us(self) -> int:
        """The present instant by Redis's clock."""
        with translated_errors():
            seconds, micros = await command(self.redis, "TIME")
        return int(seconds) * MICROSECONDS + int(micros)

    async def _run(
        self,
        name: str,
        rest: Sequence[scripts.Argument] = (),
        /,
        *,
        force: bool = False,
        is_large: bool = False,
        **arguments: scripts.Argument,
    ) -> Any:
        """Run a script. With `force` it runs also when memory is full, even if its header says that Redis may refuse it then.

        is_large: the answer will be long, so it comes over a connection for such.
        """
        script = scripts.load(name)
        if force:
            script = script.forced
        command = script.call(self._prefix, rest, **self._with_defaults(name, arguments))
        with translated_errors():
            while True:
                try:
                    return await self.redis.execute_command(*command, is_large=is_large)
                except ResponseError as refusal:
                    again = script.call_again(command, refusal)
                    if again is None:
                        raise
                command = again

    async def _read_and_run(self, read: Sequence[scripts.Argument], name: str, /, **arguments: scripts.Argument) -> tuple[Any, Any]:
        """Send a blocking read and a script in one round trip: both replies.

        The script's is None if it did not run and the caller is to run it by itself: Redis does not know it, or its memory is full.
        """
        script = scripts.load(name)
        with translated_errors():
            call = script.call(self._prefix, **self._with_defaults(name, arguments))
            first, second = await pair(self._blocking, read, call)
            if isinstance(second, ResponseError) and script.call_again(call, second) is not None:
                second = None
            for reply in (first, second):
                if isinstance(reply, ResponseError):
                    raise reply
            return first, second

    def _with_defaults(self, name: str, arguments: dict[str, scripts.Argument]) -> dict[str, scripts.Argument]:
        """The arguments of a call, with those that are the same for every call of a script, its turn, and the time of a test."""
        completed = self._defaults[name] | arguments
        if "turn" in completed:
            completed["turn"] = next(self._turns)
        if "now_us" in completed and (now_us := self._now_us()):
            completed["now_us"] = now_us
        if "actor" in completed and "actor" not in arguments:
            completed["actor"] = (leading() if name in scripts.OF_LEADERS else actor_here()).to_json()
        return completed

    async def _announcements(self, channel: str) -> AsyncGenerator[str | None, None]:
        """What is published on a channel. None comes first, and whenever something may have been missed: look again then."""
        with translated_errors():
            async with self._blocking.pubsub() as subscription:
                await subscription.subscribe(channel)
                epoch = self.locator.epoch
                pinged = False
                while True:
                    message = await subscription.get_message(timeout=self.settings.block_s)
                    if epoch != self.locator.epoch and message is None:
                        return  # the queue may be on another server now
                    if message is None and pinged:
                        # Only a ping shows that a server has gone without closing the connection: nothing else is sent on it.
                        raise TimeoutError("no answer on the connection that listens")
                    pinged = message is None
                    if message is None:
                        await subscription.ping()
                    elif message["type"] == "subscribe":
                        yield None
                    elif message["type"] == "message":
                        yield decoded(message["data"])


def _as_text(pools: Sequence[str]) -> str:
    """As the scripts read them; '' is the default pool alone."""
    return "" if tuple(pools) == (DEFAULT_POOL,) else " ".join(pools)


class _Defaults(dict[str, dict[str, scripts.Argument]]):
    """For each script the arguments that no caller gives, put together when it is called first."""

    def __init__(self, settings: Settings, pools: str) -> None:
        super().__init__()
        values = {
            "window_size": settings.window,
            "history_length": settings.history_length,
            "failed_ttl_ms": settings.failed_ttl_ms,
            "result_ttl_ms": settings.result_ttl_ms,
            "longest_freeze_us": microseconds(settings.longest_freeze_s),
            "pools": pools,
            "max_crashes": settings.max_crashes,
            "record_starts": int(settings.record_starts),
            "counting": int(settings.record_history),
            "format": FORMAT,
            "oldest_format": OLDEST_FORMAT,
            "least_share": round(settings.least_share * 1_000_000),
            "now_us": 0,
            "turn": 0,
            "actor": "",
        }
        # As text: to format the numbers for each call would take as long as to pack the rest of it.
        self._texts: dict[str, scripts.Argument] = {name: str(value) for name, value in values.items()}

    def __missing__(self, name: str) -> dict[str, scripts.Argument]:
        arguments = scripts.load(name).arguments
        return self.setdefault(name, {argument: self._texts[argument] for argument in arguments if argument in self._texts})
