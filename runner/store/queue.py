"""QueueStore: the connections to one queue, and how a script is called on it. The base of every role of a store."""

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, chain, count, groupby, islice
from typing import Any, TypeVar

from redis.exceptions import ResponseError

from runner.connection import connect, located, pair, translated_errors
from runner.jobs import Priority, check_queue_name
from runner.settings import Settings
from runner.store import failpoints, scripts
from runner.store.data_format import FORMAT
from runner.store.keys import Keys

_SCRIPTS = {name: scripts.load(name) for name in scripts.script_names()}
_BLOCK_MARGIN_S = 1.0

T = TypeVar("T")
Half = tuple[scripts.Argument, ...]

MOST_PER_CALL = 500
_MOST_BYTES = 8_000_000
"""Payload of one call with several payloads: Redis does nothing else meanwhile, and must answer within the time-out."""


def fitting(sizes: Iterable[int], most_bytes: int = _MOST_BYTES) -> int:
    """How many payloads of these sizes, from the first on, go into one call: as many as `most_bytes` allow, and always one."""
    return max(sum(1 for size in accumulate(islice(sizes, MOST_PER_CALL)) if size <= most_bytes), 1)


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
    """The connections to one queue of one server. `now_us` replaces Redis's clock in tests; 0 is the real one."""

    def __init__(self, url: str, queue: str, settings: Settings, *, now_us: Callable[[], int] = lambda: 0) -> None:
        self.keys = Keys(check_queue_name(queue))
        self._prefix = self.keys.prefix
        self.settings = settings
        self.locator = located(url, self.keys.prefix)
        self.redis = connect(self.locator, timeout_s=settings.command_timeout_s)
        # Redis replies to a blocking read only after up to `block_s`, so it has a client with a longer time-out.
        self._blocking = connect(self.locator, timeout_s=settings.block_s + _BLOCK_MARGIN_S)
        failpoints.arm(settings.failpoints, self.redis, self._blocking)
        self._now_us = now_us
        self._defaults = _defaults(settings)
        self._turns = count(1)
        self._streams = [self.keys.stream(priority).encode() for priority in Priority]
        self._priority_of = {stream: int(priority) for priority, stream in zip(Priority, self._streams, strict=True)}

    async def close(self) -> None:
        """Close every connection. The store cannot be used afterwards."""
        await self.redis.aclose()
        await self._blocking.aclose()

    async def check(self) -> None:
        """Run a script that only reads: shows that Redis answers, runs Lua, and has finished loading."""
        await self._run("get", ["-"], watch=0)

    async def _run(self, name: str, rest: Sequence[scripts.Argument] = (), /, *, force: bool = False, **arguments: scripts.Argument) -> Any:
        """Run a script. With `force` it runs also when memory is full, even if its header says that Redis may refuse it then."""
        script = _SCRIPTS[name]
        if force:
            script = script.forced
        command = script.call(self._prefix, rest, **self._with_defaults(name, arguments))
        with translated_errors():
            while True:
                try:
                    return await self.redis.execute_command(*command)
                except ResponseError as refusal:
                    again = script.call_again(command, refusal)
                    if again is None:
                        raise
                command = again

    async def _read_and_run(self, read: Sequence[scripts.Argument], name: str, /, **arguments: scripts.Argument) -> tuple[Any, Any]:
        """Send a blocking read and a script in one round trip: both replies.

        The script's is None if it did not run and the caller is to run it by itself: Redis does not know it, or its memory is full.
        """
        script = _SCRIPTS[name]
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
        return completed


def _defaults(settings: Settings) -> dict[str, dict[str, scripts.Argument]]:
    """For each script the arguments that no caller gives."""
    values = {
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
    # As text: to format the numbers for each call would take as long as to pack the rest of it.
    texts = {name: str(value) for name, value in values.items()}
    return {name: {argument: texts[argument] for argument in script.arguments if argument in texts} for name, script in _SCRIPTS.items()}
