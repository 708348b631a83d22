"""The processor time that the server spends on single calls, by its own account: what others on the machine do counts as little as possible."""

from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any, NamedTuple

import redis as redis_py

from runner.store import scripts

_MILLISECONDS = 1_000
_TRIES = 20

Act = Callable[[], Awaitable[object]]
"""What a caller does, in one call of the script or in several. Returns how much came of it."""


class Times(NamedTuple):
    """Of the call that takes longest, in ms: of all runs the least, which others on the machine disturbed least, the median and the largest."""

    least_ms: float
    median_ms: float
    most_ms: float


class Stopwatch:
    """Watches the calls of one script: reading the command, running it, writing the log and the reply. The server does nothing else."""

    def __init__(self, url: str, script: str) -> None:
        self._server = redis_py.Redis.from_url(url)
        known = scripts.load(script)
        self._script = script
        self._shas = {known.sha, known.forced.sha}
        self._calls_s: list[float] = []
        self._own_s = 0.0
        self._own_s = min(self._since(self._cpu_s()) for _ in range(_TRIES))

    def close(self) -> None:
        self._server.close()

    def watch(self, client: Any) -> None:
        """All calls of an asyncio client."""
        plain = client.execute_command

        async def timed(*words: Any, **options: Any) -> Any:
            if not self._counts(words):
                return await plain(*words, **options)
            before_s = self._cpu_s()
            try:
                return await plain(*words, **options)
            finally:
                self._calls_s.append(self._since(before_s))

        client.execute_command = timed

    def watch_in_thread(self, client: Any) -> None:
        """All calls of a client that blocks."""
        plain = client.execute_command

        def timed(*words: Any, **options: Any) -> Any:
            if not self._counts(words):
                return plain(*words, **options)
            before_s = self._cpu_s()
            try:
                return plain(*words, **options)
            finally:
                self._calls_s.append(self._since(before_s))

        client.execute_command = timed

    async def times(self, act: Act, runs: int) -> Times:
        """Act so many times. Raises RuntimeError unless each run does as much as the first: a later one could find nothing to do.

        A call that ends by the commands it has sent may deal with one line more or less.
        """
        calls_s, did = [], []
        for _ in range(runs):
            self._calls_s = []
            did.append(await act())
            calls_s.append(self._calls_s)
        if len({len(calls) for calls in calls_s}) > 1 or not _alike(did):
            raise RuntimeError(f"{self._script}: the runs did not do the same: {did} in {[len(calls) for calls in calls_s]} calls")
        # The first calls of all runs do the same, and so do all that follow.
        same = list(zip(*calls_s, strict=True))
        if not same:
            raise RuntimeError(f"{self._script} was not called")
        least_s, median_s, most_s = max(map(min, same)), max(map(median, same)), max(map(max, same))
        return Times(least_s * _MILLISECONDS, median_s * _MILLISECONDS, most_s * _MILLISECONDS)

    def load_all(self) -> None:
        """Every script is known to the server, so that no call has to compile one."""
        for name in scripts.script_names():
            script = scripts.load(name)
            self._server.script_load(script.source)
            self._server.script_load(script.forced.source)

    def _counts(self, words: tuple[Any, ...]) -> bool:
        return words[0] == "EVALSHA" and words[1] in self._shas

    def _cpu_s(self) -> float:
        """Of the thread that runs commands."""
        used = self._server.info("cpu")
        return float(used["used_cpu_user_main_thread"]) + float(used["used_cpu_sys_main_thread"])

    def _since(self, before_s: float) -> float:
        """Less what it takes to ask; never nothing, so that a call shows that it was made."""
        return max(self._cpu_s() - before_s - self._own_s, 1e-6)


def _alike(did: list[object]) -> bool:
    numbers = [done for done in did if isinstance(done, int)]
    if len(numbers) == len(did):
        return min(numbers) >= 0.95 * max(numbers)
    return len({repr(done) for done in did}) == 1
