"""The ledger of a campaign: what was accepted, begun and ended, read bit by bit from what the scripts and the workers wrote down."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from redis.asyncio import Redis

from runner.connection.client import command
from runner.jobs import TICKET
from runner.limits import Limit
from runner.store.keys import Keys
from tests.chaos.campaign.calls import QUEUE, Call
from tests.chaos.campaign.dead_letters import DeadLetters
from tests.chaos.campaign.doors import Doors
from tests.chaos.campaign.notes import BEGAN, ENDED, STOPPED
from tests.chaos.campaign.players.diary import Diary, End, Start
from tests.chaos.campaign.takes import Takes
from tests.chaos.campaign.tokens import Taker, Tokens, costs_of
from tests.chaos.campaign.versions import Versions
from tests.chaos.campaign.words import Words
from tests.starts import Starts

PAGE = 2_000
RECENT = 300
SHOWN = 20
"""Most findings of a kind that are told; the rest is counted."""
STARVED_S = 60.0
"""No job may wait so long for its first start, unless its priority is low: after a fault those before it get all but the least share."""
KEYS = Keys(QUEUE)
_UNKNOWN = 1_000_000
"""A record that was forgotten before it was read, on a busy machine, says nothing of how often its job ran."""


@dataclass(frozen=True)
class Submitted:
    """A job that the producer is about to submit."""

    task: str
    priority: str
    at_us: int


class Wait(NamedTuple):
    """The time from a job's submission to its first start."""

    number: int
    task: str
    priority: str
    started_us: int
    seconds: float


class Ledger:
    """Everything that is known of the jobs, by number. Nothing is asked of memory in Redis, which forgets ended jobs meanwhile.

    `call_of` tells what the job of a number is. `queue`: that of the jobs.
    """

    def __init__(self, notes: Path, lease_s: float, call_of: Callable[[int], Call], queue: str = QUEUE) -> None:
        self.keys = Keys(queue)
        self._notes = notes
        self._read_bytes: dict[Path, int] = {}
        self._history_at = self._starts_at = "-"
        self._begun: set[tuple[int, int]] = set()
        self._twice: list[tuple[int, int]] = []
        self._stopped = Counter[int]()
        self._ended: list[tuple[str, End]] = []
        """Of the players' jobs whose records were not looked at yet."""
        self._again: set[int] = set()
        self._failed: dict[int, int] = {}
        self._allowed: dict[int, int] = {}
        self._ended_ms: dict[tuple[int, int], int] = {}
        self.takes = Takes(round(lease_s * 1_000_000))
        self.tokens = Tokens()
        self.diary = Diary()
        self.submitted: dict[int, Submitted] = {}
        self.waits: list[Wait] = []
        self.accepted: set[int] = set()
        self.outcomes = Counter[int]()
        self.states = Counter[str]()
        self.runs = Counter[int]()
        self.crashes = 0
        self.retried = Counter[int]()
        self.failed_lately: deque[int] = deque(maxlen=RECENT)
        self.versions = Versions(call_of)
        self.doors = Doors(self.accepted, self.versions.note_submission)
        self.words = Words(call_of)
        self.dead_letters = DeadLetters(call_of, self.versions.is_excused, self.words)

    @property
    def unfinished(self) -> list[int | str]:
        """Accepted jobs without an outcome."""
        return [*(number for number in self.accepted if not self.outcomes[number]), *self.diary.unfinished]

    async def read(self, redis: Redis) -> None:
        """Take in all that was written since the last time."""
        self._read_notes()
        while await self._read_history(redis):
            pass
        while await self._read_starts(redis):
            pass

    def findings(self, limits: Iterable[Limit], starved_s: float = STARVED_S) -> dict[str, list[str]]:
        """What is wrong, by kind; called at the end, when every accepted job should have ended."""
        policies = {limit.name: limit for limit in limits}
        found = {
            "lost": [f"job c{number} was accepted and has not ended" for number in self.accepted if not self.outcomes[number]],
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
            "over a limit": self.tokens.over_limit(policies, self._held_until_us),
            "starved": [
                f"job c{wait.number} ({wait.priority} {wait.task}) waited {wait.seconds:.1f} s for its first start"
                for wait in self.waits
                if wait.seconds > starved_s and wait.priority != "low"
            ],
            **self.takes.findings(),
            **self.versions.findings(starved_s),
            **self.doors.findings(),
            **self.dead_letters.findings(),
            **self.words.findings(),
        }
        return found | {what: found.get(what, []) + more for what, more in self.diary.findings().items()}

    def starts_under(self, bucket: str) -> Starts:
        """What was taken of a bucket by runs that began, and by takers."""
        return self.tokens.starts_under(bucket, self._held_until_us)

    def _held_until_us(self, taker: Taker, at_us: int) -> int | None:
        """Until when what was taken was used at least; None if its run never began."""
        if isinstance(taker, str):
            return self.takes.held_until_us(taker, at_us)
        return max(self._ended_ms.get(taker, 0) * 1000, at_us) if taker in self._begun else None

    def _read_notes(self) -> None:
        for path in self._notes.glob("notes-*"):
            with path.open("rb") as file:
                file.seek(self._read_bytes.get(path, 0))
                whole, _, _ = file.read().rpartition(b"\n")
            if whole:
                self._read_bytes[path] = self._read_bytes.get(path, 0) + len(whole) + 1
                for line in whole.decode().split("\n"):
                    self._take_note(line)

    def _take_note(self, line: str) -> None:
        what, *words = line.split()
        if what not in (BEGAN, ENDED, STOPPED):
            (self.doors if what in Doors.WORDS else self.diary if what in Diary.WORDS else self.takes).note(what, words)
            return
        run = int(words[0]), int(words[1])
        if what == BEGAN:
            if run in self._begun:
                self._twice.append(run)
            self._begun.add(run)
            self.runs[run[0]] += 1
            self.versions.note_run(run, int(words[2]))
        elif what == STOPPED:
            self._stopped[run[0]] += 1

    async def _read_history(self, redis: Redis) -> bool:
        rows = await command(redis, "XRANGE", self.keys.history, self._history_at, "+", "COUNT", PAGE)
        for entry, fields in rows:
            said = _named(fields)
            job, attempt, state = said["job"], int(said["attempt"]), said["state"]
            ended_ms = int(entry.partition(b"-")[0])
            self._history_at = f"({entry.decode()}"
            self.states[state] += 1
            if (number := number_of(job)) is None:
                self._ended.append((job, End(said["task"], state, attempt, ended_ms * 1000)))
                continue
            self.outcomes[number] += 1
            self._ended_ms[number, attempt] = ended_ms
            if state == "failed":
                self.failed_lately.append(number)
                self._failed[number] = self._ended_ms[number, attempt] * 1000
            if attempt > 1:
                self._again.add(number)
        if rows:
            await command(redis, "XTRIM", self.keys.history, "MINID", "~", rows[-1][0])
        for number, at_us in list(self._failed.items()):  # apart from the above, which must not be read twice if Redis goes away
            self.dead_letters.note(number, await command(redis, "HGET", self.keys.job(f"c{number}"), "error"), at_us)
            del self._failed[number]
        for number in list(self._again):  # at once: the hash lives a short time only
            known, *counts = await command(redis, "HMGET", self.keys.job(f"c{number}"), "state", "failures", "crashes", "throttled")
            failures, crashes, throttled = (int(count or 0) for count in counts)
            most = 1 + failures + crashes + throttled if known is not None else _UNKNOWN
            self._allowed[number] = max(self._allowed.get(number, 1), most)
            self.crashes += crashes
            self._again.discard(number)
        while self._ended:
            await self.diary.look_at(redis, self._ended[:PAGE])
            del self._ended[:PAGE]
        return len(rows) == PAGE

    async def _read_starts(self, redis: Redis) -> bool:
        rows = await command(redis, "XRANGE", self.keys.starts, self._starts_at, "+", "COUNT", PAGE)
        for entry, fields in rows:
            said = _named(fields)
            self._starts_at = f"({entry.decode()}"
            if not said["job"].startswith(TICKET) and number_of(said["job"]) is None:
                self.diary.starts[said["job"]].append(Start(int(said["attempt"]), int(said["now"])))
                continue
            taker = self._taker(said["job"], int(said["attempt"]), int(said["now"]))
            costs = costs_of(said["limits"])
            self.tokens.note(taker, int(said["now"]), costs)
            if not isinstance(taker, str):
                self.versions.note_start(taker, int(said["now"]), costs)
        if rows:
            await command(redis, "XTRIM", self.keys.starts, "MINID", "~", rows[-1][0])
        return len(rows) == PAGE

    def _taker(self, name: str, attempt: int, at_us: int) -> Taker:
        """Who took: an attempt of a job, or a ticket. Notes how long the job had waited."""
        if name.startswith(TICKET):
            self.takes.logged.add(name)
            return name
        number = int(name[1:])
        if attempt == 1 and (submitted := self.submitted.pop(number, None)) is not None:
            self.waits.append(Wait(number, submitted.task, submitted.priority, at_us, (at_us - submitted.at_us) / 1_000_000))
        return number, attempt


def number_of(job: str) -> int | None:
    """That of a job whose id is a number; those of players have names."""
    return int(job[1:]) if job[:1] == "c" and job[1:].isdecimal() else None


def _named(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in fields.items()}
