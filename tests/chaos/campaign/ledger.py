"""The ledger of a campaign: what was accepted, begun and ended, read bit by bit from what the scripts and the workers wrote down."""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from redis.asyncio import Redis

from runner.connection.client import command
from runner.limits import Limit
from runner.store.keys import Keys
from tests.chaos.campaign.workload import BEGAN, QUEUE, STOPPED
from tests.starts import Starts

PAGE = 2_000
RECENT = 300
SHOWN = 20
"""Most findings of a kind that are told; the rest is counted."""
KEYS = Keys(QUEUE)


@dataclass(frozen=True)
class Spell:
    """A time in which less was permitted: `most` tokens of a limit between two instants."""

    limit: str
    from_us: int
    until_us: int
    most: int


@dataclass
class _Taken:
    """What was taken of one bucket, and by which attempt."""

    at_us: list[int] = field(default_factory=list)
    costs: list[int] = field(default_factory=list)
    attempts: list[tuple[int, int]] = field(default_factory=list)


class Ledger:
    """Everything that is known of the jobs, by number. Nothing is asked of memory in Redis, which forgets ended jobs meanwhile."""

    def __init__(self, notes: Path) -> None:
        self._notes = notes
        self._read_bytes: dict[Path, int] = {}
        self._history_at = self._starts_at = "-"
        self._taken: dict[str, _Taken] = defaultdict(_Taken)
        self._begun: set[tuple[int, int]] = set()
        self._twice: list[tuple[int, int]] = []
        self._stopped = Counter[int]()
        self._again: set[int] = set()
        self._allowed: dict[int, int] = {}
        self._ended_ms: dict[tuple[int, int], int] = {}
        self.accepted: set[int] = set()
        self.outcomes = Counter[int]()
        self.states = Counter[str]()
        self.runs = Counter[int]()
        self.crashes = 0
        self.retried = Counter[int]()
        self.failed_lately: deque[int] = deque(maxlen=RECENT)
        self.spells: list[Spell] = []

    @property
    def unfinished(self) -> list[int]:
        """Accepted jobs without an outcome."""
        return [number for number in self.accepted if not self.outcomes[number]]

    async def read(self, redis: Redis) -> None:
        """Take in all that was written since the last time."""
        self._read_notes()
        while await self._read_history(redis):
            pass
        while await self._read_starts(redis):
            pass

    def findings(self, limits: Iterable[Limit]) -> dict[str, list[str]]:
        """What is wrong, by kind; called at the end, when every accepted job should have ended."""
        policies = {limit.name: limit for limit in limits}
        return {
            "lost": [f"job c{number} was accepted and has not ended" for number in self.unfinished],
            "accepted twice": [
                f"job c{number} has {count} outcomes and was retried by hand {self.retried[number]} times"
                for number, count in self.outcomes.items()
                if count > 1 + self.retried[number]
            ],
            "ran twice": [f"attempt {attempt} of job c{number} was begun twice" for number, attempt in self._twice],
            "ran too often": [
                f"job c{number} ran {runs} times, {self._allowed.get(number, 1) + self._stopped[number]} are accounted for"
                for number, runs in self.runs.items()
                if runs > self._allowed.get(number, 1) + self._stopped[number] and number not in self.retried
            ],
            "over a limit": self._over_limit(policies),
        }

    def _over_limit(self, policies: dict[str, Limit]) -> list[str]:
        wrong = []
        for bucket, taken in self._taken.items():
            starts = Starts()
            for at_us, cost, attempt in zip(taken.at_us, taken.costs, taken.attempts, strict=True):
                if attempt in self._begun:
                    starts.add(at_us, cost, max(self._ended_ms.get(attempt, 0) * 1000, at_us))
            if (excess := starts.excess(policies[bucket.partition("/")[0]])) > 0:
                wrong.append(f"{excess} tokens of {bucket} too many in some window")
            for spell in self.spells:
                if spell.limit == bucket.partition("/")[0]:
                    inside = [
                        cost for at_us, cost in zip(starts.at_us, starts.costs, strict=True) if spell.from_us <= at_us <= spell.until_us
                    ]
                    if sum(inside) > spell.most:
                        wrong.append(f"{sum(inside)} tokens of {bucket} taken where {spell.most} were permitted: {spell}")
        return wrong

    @property
    def starts(self) -> int:
        """Starts under a limit."""
        return sum(len(taken.at_us) for taken in self._taken.values())

    def _read_notes(self) -> None:
        for path in self._notes.glob("runs-*"):
            with path.open("rb") as file:
                file.seek(self._read_bytes.get(path, 0))
                whole, _, _ = file.read().rpartition(b"\n")
            if whole:
                self._read_bytes[path] = self._read_bytes.get(path, 0) + len(whole) + 1
                for line in whole.decode().split("\n"):
                    self._take_note(line)

    def _take_note(self, line: str) -> None:
        what, number, attempt = line.split()
        run = int(number), int(attempt)
        if what == BEGAN:
            if run in self._begun:
                self._twice.append(run)
            self._begun.add(run)
            self.runs[run[0]] += 1
        elif what == STOPPED:
            self._stopped[run[0]] += 1

    async def _read_history(self, redis: Redis) -> bool:
        rows = await command(redis, "XRANGE", KEYS.history, self._history_at, "+", "COUNT", PAGE)
        for entry, fields in rows:
            said = _named(fields)
            number, attempt, state = int(said["job"][1:]), int(said["attempt"]), said["state"]
            self.outcomes[number] += 1
            self.states[state] += 1
            self._ended_ms[number, attempt] = int(entry.partition(b"-")[0])
            if state == "failed":
                self.failed_lately.append(number)
            if attempt > 1:
                self._again.add(number)
            self._history_at = f"({entry.decode()}"
        if rows:
            await command(redis, "XTRIM", KEYS.history, "MINID", "~", rows[-1][0])
        for number in list(self._again):  # at once: the hash lives a short time only
            counts = await command(redis, "HMGET", KEYS.job(f"c{number}"), "failures", "crashes", "throttled")
            failures, crashes, throttled = (int(count or 0) for count in counts)
            self._allowed[number] = max(self._allowed.get(number, 1), 1 + failures + crashes + throttled)
            self.crashes += crashes
            self._again.discard(number)
        return len(rows) == PAGE

    async def _read_starts(self, redis: Redis) -> bool:
        rows = await command(redis, "XRANGE", KEYS.starts, self._starts_at, "+", "COUNT", PAGE)
        for entry, fields in rows:
            said = _named(fields)
            for need in said["limits"].split(";"):
                if need:
                    bucket, _, cost = need.partition("=")
                    taken = self._taken[bucket]
                    taken.at_us.append(int(said["now"]))
                    taken.costs.append(int(cost.rstrip("!")))
                    taken.attempts.append((int(said["job"][1:]), int(said["attempt"])))
            self._starts_at = f"({entry.decode()}"
        if rows:
            await command(redis, "XTRIM", KEYS.starts, "MINID", "~", rows[-1][0])
        return len(rows) == PAGE


def _named(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in fields.items()}
