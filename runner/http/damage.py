"""Damage: what callers are told while a key of the queue holds something else than it should. Which one it is, is looked up now and then."""

import asyncio
import logging

from runner import Client, RunnerError
from runner.http.problems import Problem

log = logging.getLogger("runner")

_REMEMBERED_S = 10.0
"""A look is some dozens of commands; what it finds counts for all requests of this time."""
_UNNAMED = "python -m runner doctor names the key, and what to do"


class Damage:
    """What one service knows of it."""

    def __init__(self) -> None:
        self._looked_s = float("-inf")
        self._told = _UNNAMED

    async def problem(self, client: Client) -> Problem:
        """The answer to a request that such a key has refused. Raises nothing."""
        now_s = asyncio.get_running_loop().time()
        if not 0 <= now_s - self._looked_s <= _REMEMBERED_S:
            self._looked_s = now_s
            self._told = await _told(client)
            log.error("requests are refused, as the queue is damaged: %s", self._told)
        return Problem("damaged-queue", self._told)


async def _told(client: Client) -> str:
    try:
        found = [finding.text for finding in await client.examine() if finding.check == "keys" and finding.level == "warning"]
    except RunnerError:
        return _UNNAMED
    return f"{found[0]}; python -m runner doctor names it too" if found else _UNNAMED
