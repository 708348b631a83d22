"""QueueStore: the connections to one queue, and how a script is called on it. Every role of a store is one of these."""

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, chain, count, groupby, islice
from operator import itemgetter
from typing import Any

from redis.exceptions import ResponseError

from runner.connection import connect, located, pair, translated_errors
from runner.jobs import Priority, check_queue_name
from runner.settings import Settings
from runner.store import failpoints, scripts
from runner.store.data_format import FORMAT
from runner.store.keys import Keys

_SCRIPTS = {name: scripts.load(name) for name in scripts.script_names()}
_BLOCK_MARGIN_S = 1.0

MOST_PER_CALL = 500
_MOST_BYTES = 8_000_000
"""Payload of one call with several payloads: Redis does nothing else meanwhile, and must answer within the time-out."""


def fitting(sizes: Iterable[int], most_bytes: int = _MOST_BYTES) -> int:
    """How many payloads of these sizes, from the first on, go into one call: as many as `most_bytes` allow, and always one."""
    return max(sum(1 for size in accumulate(islice(sizes, MOST_PER_CALL)) if size <= most_bytes), 1)


def in_runs(items: Iterable[tuple[tuple[scripts.Argument, ...], tuple[scripts.Argument, ...]]]) -> list[scripts.Argument]:
    """Items of (what each has in common with its neighbours, what is its own) as submit.lua and finish.lua take them, in their order.

    What successive ones have in common is sent once: how many they are, that, and then what each has of its own.
    """
    words: list[scripts.Argument] = []
    for common, run in groupby(items, key=itemgetter(0)):
        own = [its for _, its in run]
        words += (len(own), *common, *chain.from_iterable(own))
    return words


class QueueStore:
    """One queue of one server. `now_us` stands in for Redis's clock in tests; 0 is the real one."""

    def __init__(self, url: str, queue: str, settings: Settings, *, now_us: Callable[[], int] = lambda: 0) -> None:
        self.keys = Keys(check_queue_name(queue))
        self._prefix = self.keys.prefix
        self.settings = settings
        self.locator = located(url, self.keys.prefix)
        self.redis = connect(self.locator, timeout_s=settings.command_timeout_s)
        # A blocking read is silent for as long as it may block, so it needs a connection of its own patience.
        self._patient = connect(self.locator, timeout_s=settings.block_s + _BLOCK_MARGIN_S)
        failpoints.arm(settings.failpoints, self.redis, self._patient)
        self._now_us = now_us
        common: dict[str, scripts.Argument] = {
            "window_size": settings.window,
            "history_length": settings.history_length,
            "failed_ttl_ms": settings.failed_ttl_ms,
            "result_ttl_ms": settings.result_ttl_ms,
            "max_crashes": settings.max_crashes,
            "record_starts": int(settings.record_starts),
            "format": FORMAT,
            "least_share": round(settings.least_share * 1_000_000),
            "now_us": 0,
            "turn": 0,
        }
        # As text: to print them anew for each call would take as long as to pack the rest of it.
        texts = {name: str(value) for name, value in common.items()}
        self._fixed: dict[str, dict[str, scripts.Argument]] = {
            name: {argument: texts[argument] for argument in script.arguments if argument in texts} for name, script in _SCRIPTS.items()
        }
        self._turns = count(1)
        self._streams = [self.keys.stream(priority).encode() for priority in Priority]
        self._priority_of = {stream: int(priority) for priority, stream in zip(Priority, self._streams, strict=True)}

    async def close(self) -> None:
        """Close every connection. The store cannot be used afterwards."""
        await self.redis.aclose()
        await self._patient.aclose()

    async def _run(self, name: str, rest: Sequence[scripts.Argument] = (), /, *, force: bool = False, **arguments: scripts.Argument) -> Any:
        """Run a script. With `force` also one that is refused when memory is full."""
        script = _SCRIPTS[name]
        if force:
            script = script.forced
        command = script.call(self._prefix, rest, **self._completed(name, arguments))
        with translated_errors():
            while True:
                try:
                    return await self.redis.execute_command(*command)
                except ResponseError as refusal:
                    again = script.call_again(command, refusal)
                    if again is None:
                        raise
                command = again

    async def _run_behind(self, read: Sequence[scripts.Argument], name: str, /, **arguments: scripts.Argument) -> tuple[Any, Any]:
        """Run a script right behind a blocking read, with no way there and back between them: both replies.

        That of the script is None if it did not run and is to be run by itself: the server does not know it, or is full.
        """
        script = _SCRIPTS[name]
        with translated_errors():
            call = script.call(self._prefix, **self._completed(name, arguments))
            first, second = await pair(self._patient, read, call)
            if isinstance(second, ResponseError) and script.call_again(call, second) is not None:
                second = None
            for reply in (first, second):
                if isinstance(reply, ResponseError):
                    raise reply
            return first, second

    def _completed(self, name: str, arguments: dict[str, scripts.Argument]) -> dict[str, scripts.Argument]:
        """With what is the same for every call, and what is new for each."""
        completed = self._fixed[name] | arguments
        if "turn" in completed:
            completed["turn"] = next(self._turns)
        if "now_us" in completed and (now_us := self._now_us()):
            completed["now_us"] = now_us
        return completed

    async def check(self) -> None:
        """Run a script that reads: shows that Redis answers, runs Lua, and has finished loading."""
        await self._run("get", ["-"], watch=0)
