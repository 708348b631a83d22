"""Schedules: what runs by itself, and when. One method per script; Python works out the instants, and Redis's clock decides."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from runner.errors import BacklogFull
from runner.jobs import Acceptance, OtherJob, Submission
from runner.store import scripts
from runner.store.declarations import Declarations
from runner.store.portions import MOST_LIMITS, MOST_PER_CALL, portions
from runner.store.published import Role
from runner.store.replies import accepted
from runner.store.schedule_rows import DueSchedule, KnownSchedule, due_schedule, known_schedule
from runner.store.submissions import too_many_pools
from runner.store.text import decoded

_MOST_DUE = 100
_MOST_DORMANT = 200
_MOST_BYTES = 4_000_000
"""Of the arguments that one call of fire carries, but for one schedule that has more."""


class Firing(NamedTuple):
    """What is to be done about a schedule that is due.

    runs: the instant and the job of each, in order; with a `refusal` there are no jobs. nominal_us: the next instant, due_us when that is run, None if there is
    none any more. missed: how many instants nobody has fired, last_us: the latest instant that is settled now, None if none is.
    """

    due: DueSchedule
    runs: Sequence[tuple[int, Submission | None]]
    nominal_us: int | None
    due_us: int | None
    missed: int
    last_us: int | None
    refusal: str = ""

    def words(self) -> list[scripts.Argument]:
        """As fire.lua takes it."""
        spec = self.due.entry.spec
        head: list[scripts.Argument] = [
            self.due.name,
            self.due.due,
            self.due.entry.version,
            _word(self.nominal_us),
            _word(self.due_us),
            self.missed,
            _word(self.last_us),
            "skip" if spec is None else spec.overlap,
            self.refusal,
            len(self.runs),
        ]
        for instant_us, job in self.runs:
            head.append(instant_us)
            if job is not None and not self.refusal:
                head += run_words(job)
        return head


class Fired(NamedTuple):
    """What came of it: "fired", "full", "moved" or "changed", and how many runs were made, skipped and refused."""

    answer: str
    made: int
    skipped: int
    refused: int


class Change(NamedTuple):
    """A change of a schedule: `act` is "put", "own", "pause", "resume" or "remove"; `expected` the version that was seen, "" for none."""

    name: str
    act: str
    expected: str
    in_code: bool = False
    role: Role = Role.producer
    revision: int = 0
    since_us: int = 0
    nominal_us: int | None = None
    due_us: int | None = None
    anchor_us: int = 0
    body: str = ""
    reason: str = ""


class Schedules(Declarations):
    """The schedules of a queue."""

    async def due(self, late_us: int = 0) -> tuple[int, int, list[DueSchedule]]:
        """Redis's clock in µs, the µs until the next is due (-1: none; 0: now), and those that are due by so much, 100 at most."""
        now_us, next_us, *rows = await self._run("due", budget=_MOST_DUE, late_us=late_us)
        return int(now_us), int(next_us), [due_schedule(row) for row in rows]

    async def fire(self, firings: Sequence[Firing]) -> list[Fired]:
        """Make the jobs, and set the next instants, of each schedule that is still as it was read. Raises `StoreFull`: memory is full."""
        fired: list[Fired] = []
        for part in _parts(firings):
            words = [word for firing in part for word in firing.words()]
            count = sum(len(firing.runs) for firing in part)
            rows = await self._run("fire", words, most_backlog=self._most_jobs, jobs_in_all=count)
            fired += [Fired(decoded(answer), made, skipped, refused) for answer, made, skipped, refused in rows]
        return fired

    async def schedule_names(self) -> list[str]:
        """The names of all, in order."""
        _, names = await self._run("schedules")
        return sorted(decoded(name) for name in names)

    async def known_schedules(self, names: Sequence[str]) -> tuple[int, list[KnownSchedule]]:
        """Redis's clock in µs, and what is known of these."""
        now_us, found = 0, []
        for part in portions(names, MOST_LIMITS):
            now, *rows = await self._run("schedules", part)
            now_us = int(now)
            found += [known_schedule(name, row) for name, row in zip(part, rows, strict=True)]
        return now_us, found

    async def change_schedule(self, change: Change) -> bool:
        """Add, change, pause, resume or remove one; False if it is another one by now than the caller has seen."""
        answer = await self._run(
            "schedule",
            name=change.name,
            act=change.act,
            expected=change.expected,
            source="code" if change.in_code else "run",
            role=change.role.value,
            revision=change.revision,
            since=change.since_us,
            nominal=_word(change.nominal_us),
            due=_word(change.due_us),
            anchor=change.anchor_us,
            body=change.body,
            reason=change.reason,
        )
        return bool(answer == b"done")

    async def trigger(self, name: str, job: Submission) -> Acceptance | OtherJob | None:
        """Make a job of a schedule now: what a submission is told; None for an unknown schedule. Raises `BacklogFull`, `StoreFull`."""
        reply = await self._run("trigger", run_words(job), most_backlog=self._most_jobs, name=name)
        if reply[0] == b"unknown":
            return None
        (told,), backlog = accepted(self.keys.queue, reply, 1)
        if backlog is not None:
            raise BacklogFull(self.keys.queue, backlog, self._most_jobs, 1)
        if told is Acceptance.pools:
            raise too_many_pools(self.keys.queue)
        return told

    async def drowse(self, passed: int = 0) -> tuple[int, list[str]]:
        """Let dormant schedules go on that are declared again, and remove those that have not been for a week: where the next page begins, and the names of those."""
        following, removed = await self._run("drowse", passed=passed, budget=_MOST_DORMANT)
        return int(following), [decoded(name) for name in removed]

    @property
    def _most_jobs(self) -> int:
        return self.settings.max_backlog or -1


def run_words(job: Submission) -> list[scripts.Argument]:
    """One job as include/acceptance.lua takes a run."""
    return [1, *job.shared(), *job.own()]


def _parts(firings: Sequence[Firing]) -> Iterable[Sequence[Firing]]:
    """As many as one call takes."""
    part: list[Firing] = []
    count = size = 0
    for firing in firings:
        own = sum(len(job.args) for _, job in firing.runs if job is not None)
        if part and (count + len(firing.runs) > MOST_PER_CALL or size + own > _MOST_BYTES):
            yield part
            part, count, size = [], 0, 0
        part.append(firing)
        count, size = count + len(firing.runs), size + own
    if part:
        yield part


def _word(us: int | None) -> str:
    return "" if us is None else str(us)
