"""Failpoints: places where this process fails on purpose, for tests. Unless RUNNER_FAILPOINTS names some, no call passes through here.

A point is a script or command of Redis by its name, or `attempt` (one run of a handler), with `before` or `after`.
"""

import asyncio
import logging
import os
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import cache, wraps
from typing import Any, NamedTuple, ParamSpec, TypeVar

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from runner.clock import sleep_s
from runner.errors import ConfigurationError
from runner.store import scripts

log = logging.getLogger("runner")

P = ParamSpec("P")
T = TypeVar("T")

ATTEMPT = "attempt"
COMMANDS = frozenset({"blpop", "exists", "lpop", "scan", "time", "xrange", "xreadgroup", "xrevrange"})
"""The commands that workers and their clients send besides scripts."""
_STATUS = 70
_FAILPOINT = re.compile(
    r"(?P<point>[a-z_]+):(?P<when>before|after)=(?P<action>exit|raise|lose|pause:(?P<seconds>\d+(?:\.\d+)?))(?:@(?P<nth>[1-9]\d*))?"
)
_FORM = "write POINT:before or POINT:after, =exit, =raise, =lose or =pause:SECONDS, optionally @N, like claim:after=exit@3;finish:before=pause:2"


class Failpoint(NamedTuple):
    """What happens at a point, `before` or `after` it: every time, or the `nth` time only if that is not 0."""

    point: str
    when: str
    action: str
    seconds: float
    nth: int


class Failpoints:
    """The failpoints of this process, and how often each point was passed."""

    def __init__(self, points: list[Failpoint]) -> None:
        self._points = points
        self._passed: Counter[tuple[str, str]] = Counter()

    def pause_at(self, point: str, when: str) -> float:
        """Fail here if a failpoint says so; else the seconds to pause."""
        self._passed[point, when] += 1
        seconds = 0.0
        for failpoint in self._points:
            if (failpoint.point, failpoint.when) == (point, when) and failpoint.nth in (0, self._passed[point, when]):
                if failpoint.action == "exit":
                    os._exit(_STATUS)
                if failpoint.action == "raise":
                    raise RuntimeError(f"failpoint {point}:{when}")
                if failpoint.action == "lose":
                    raise RedisConnectionError(f"failpoint {point}:{when}")
                seconds += failpoint.seconds
        return seconds

    def around(self, point_of: Callable[P, str], call: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        """The same call with its failpoints. An empty name is no point."""

        @wraps(call)
        async def failing(*args: P.args, **kwargs: P.kwargs) -> T:
            point = point_of(*args, **kwargs)
            await asyncio.sleep(self.pause_at(point, "before"))
            answer = await call(*args, **kwargs)
            await asyncio.sleep(self.pause_at(point, "after"))
            return answer

        return failing

    def around_in_thread(self, point_of: Callable[P, str], call: Callable[P, T]) -> Callable[P, T]:
        """The same for a blocking call."""

        @wraps(call)
        def failing(*args: P.args, **kwargs: P.kwargs) -> T:
            point = point_of(*args, **kwargs)
            sleep_s(self.pause_at(point, "before"))
            answer = call(*args, **kwargs)
            sleep_s(self.pause_at(point, "after"))
            return answer

        return failing


@cache
def failpoints(spec: str) -> Failpoints:
    """The failpoints that a setting names. Raises `ConfigurationError` if it is malformed, or names an unknown point."""
    found = []
    known = {*scripts.script_names(), *COMMANDS, ATTEMPT}
    for text in spec.split(";"):
        match = _FAILPOINT.fullmatch(text.strip())
        if match is None:
            raise ConfigurationError(f"failpoint {text.strip()!r} is not understood: {_FORM}")
        if match["point"] not in known:
            raise ConfigurationError(f"failpoint {text.strip()!r} names no point (known: {', '.join(sorted(known))})")
        action = match["action"].partition(":")[0]
        found.append(Failpoint(match["point"], match["when"], action, float(match["seconds"] or 0), int(match["nth"] or 0)))
    log.warning("failpoints are on, this process will fail on purpose: %s", spec)
    return Failpoints(found)


def arm(spec: str | None, *clients: Any) -> None:
    """Put the failpoints, if there are any, around what these asyncio clients send."""
    if spec:
        for client in clients:
            client.execute_command = failpoints(spec).around(point_of_command, client.execute_command)
            client.execute_pair = _one_after_the_other(client)


def arm_in_thread(spec: str | None, client: Any) -> None:
    """The same for a client used from a thread."""
    if spec:
        client.execute_command = failpoints(spec).around_in_thread(point_of_command, client.execute_command)


def around_attempt(spec: str | None, execute: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """The call that runs a handler, with failpoints, if there are any, before it begins and after its outcome is recorded."""
    return failpoints(spec).around(lambda *_args, **_kwargs: ATTEMPT, execute) if spec else execute


@cache
def _scripts() -> dict[str, str]:
    loaded = [scripts.load(name) for name in scripts.script_names()]
    loaded += [script.forced for script in loaded]
    return {script.sha: script.name for script in loaded} | {script.source: script.name for script in loaded}


def point_of_command(*words: Any, **_options: Any) -> str:
    """The name of the script or command that these words are; empty for a script of somebody else."""
    if words[0] in ("EVALSHA", "EVAL"):
        return _scripts().get(words[1], "")
    return str(words[0]).lower()


def _one_after_the_other(client: Any) -> Callable[[Sequence[Any], Sequence[Any]], Awaitable[list[Any]]]:
    """A pair of commands goes in two calls, as it does when the server has lost the script of the second: so there are points between."""

    async def reply_or_refusal(words: Sequence[Any]) -> Any:
        try:
            return await client.execute_command(*words)
        except ResponseError as error:
            return error

    async def execute_pair(first: Sequence[Any], second: Sequence[Any]) -> list[Any]:
        return [await reply_or_refusal(first), await reply_or_refusal(second)]

    return execute_pair
