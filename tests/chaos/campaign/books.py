"""Books: a ledger of a campaign, and what scripts, workers and producers would write for it; for the tests of its accounts."""

import json
from pathlib import Path

from redis.asyncio import Redis

from tests.chaos.campaign.calls import OLD, QUEUE, Call
from tests.chaos.campaign.ledger import Ledger
from tests.chaos.campaign.workload import LIMITS


class Books:
    """A ledger, and what scripts and workers would write for it."""

    def __init__(self, redis: Redis, folder: Path, queue: str = QUEUE) -> None:
        self._redis = redis
        self._notes = folder / "notes-worker-0"
        self.folder = folder
        self.looked_s = 0.0
        self.calls: dict[int, Call] = {}
        self.ledger = Ledger(folder, 4.0, self.call_of, queue)

    def call_of(self, number: int) -> Call:
        """What the test says that it is."""
        return self.calls.get(number, Call("plain", {"number": number}))

    def runs(self, number: int, attempt: int = 1, what: str = "B", version: int = OLD) -> None:
        self.told(what, number, attempt, version)

    async def starts(self, number: int, limits: str, now_us: int, attempt: int = 1, version: int = OLD) -> None:
        await self._redis.xadd(self.ledger.keys.starts, {"job": f"c{number}", "limits": limits, "attempt": attempt, "now": now_us})
        self.runs(number, attempt, version=version)

    async def takes(self, ticket: str, limits: str, now_us: int) -> None:
        await self._redis.xadd(self.ledger.keys.starts, {"job": ticket, "limits": limits, "attempt": 0, "now": now_us})

    def told(self, *words: object) -> None:
        with self._notes.open("a") as notes:
            notes.write(" ".join(map(str, words)) + "\n")

    async def ends(self, number: int, attempt: int = 1, state: str = "succeeded", error: tuple[str, str] | None = None) -> None:
        """An outcome; `error` is the type and the message of a dead letter."""
        if error is not None:
            record = json.dumps({"type": error[0], "message": error[1]})
            await self._redis.hset(self.ledger.keys.job(f"c{number}"), "error", record)
            await self._redis.expire(self.ledger.keys.job(f"c{number}"), 60)
        await self._redis.xadd(self.ledger.keys.history, {"job": f"c{number}", "task": "plain", "state": state, "attempt": attempt})

    async def findings(self) -> dict[str, list[str]]:
        await self.ledger.read(self._redis)
        return {what: found for what, found in self.ledger.findings(LIMITS).items() if found}
