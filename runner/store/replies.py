"""Replies of the scripts, parsed into values. Pure functions over bytes; each script's header gives the order of the fields."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from runner.clock import MICROSECONDS
from runner.errors import IncompatibleVersion
from runner.jobs import BEGINNING, Acceptance, JobEvent, OtherJob, State
from runner.store.answers import FinishAnswer, TakeAnswer
from runner.store.data_format import too_new, too_old, unreadable
from runner.store.keys import Keys
from runner.store.text import decoded

_ACCEPTANCES = {acceptance.value.encode(): acceptance for acceptance in Acceptance}
_FINISH_ANSWERS = {answer.value.encode(): answer for answer in FinishAnswer}
"""The members by their words: for each job, to look one up is faster than to decode its word."""


class Accepted(NamedTuple):
    """What a submission came to, for each job. If there was no room for all, `backlog` is the number of jobs that have not ended; else None."""

    states: list[Acceptance | OtherJob]
    backlog: int | None


class Released(NamedTuple):
    """What a refill did.

    `next_wake_us` is -1 when no job waits; `late_us` is how overdue the earliest wake was, and `lost_in_us` the time after which
    buckets lose tokens, being full, if no worker looks (-1: none does).
    """

    jobs: int
    next_wake_us: int
    late_us: int
    lost_in_us: int


class Tended(NamedTuple):
    """What a look at some buckets found and did.

    is_led: a worker leads the queue, and so nothing was served. served: jobs and tickets that had their turn. late_us: how overdue the
    earliest wake of these buckets was. waits_us: for each bucket the µs until its next wake, -1 if no instant is waited for.
    """

    is_led: bool
    served: int
    late_us: int
    waits_us: list[int]


class Election(NamedTuple):
    """Who leads: `term` is 0 if it is another worker; `workers` hold a lease.

    `watches`: this worker is the one that watches the leader; `late_us` is how overdue the first job is that the leader is to wake or
    promote, and `quiet_s` for how long it has not renewed its lock, if that was asked. `now_us` is Redis's clock.
    """

    term: int
    leader: str
    workers: int
    watches: bool = False
    late_us: int = 0
    quiet_s: float | None = None
    now_us: int = 0


class Remaining(NamedTuple):
    """What is left to do.

    Jobs that are ready, wait for tokens, run or are due `soon`; that are due `later`, the first in so many µs (-1: none); that wait for a
    worker with their task (`unserved`). `failed`: dead letters since the instant that was asked about. `now_us` is Redis's clock.
    """

    soon: int
    later: int
    first_later_us: int
    unserved: int
    failed: int
    now_us: int


class Reclaimed(NamedTuple):
    """What was taken back of lapsed workers: entries, how many of the workers were removed, jobs given up as poison."""

    entries: int
    workers: int
    poisoned: int

    @property
    def is_late(self) -> bool:
        """Whether the call came too late to know who has lapsed, and did nothing."""
        return self.entries < 0


class OpenedPools(NamedTuple):
    """Whether the queue has other pools than the default one, how many lines came back to their buckets, and the pools that were forgotten."""

    has_pools: bool
    lines: int
    forgotten: list[str]


class RecordedStart(NamedTuple):
    """One start as `record_starts` logs it: `at_us` is the instant, by Redis's clock, at which the attempt's tokens were taken."""

    job: str
    attempt: int
    at_us: int


class Swept(NamedTuple):
    """What a look over one page of the catalog removed, and whether there is `more`, from `cursor` on."""

    more: bool
    cursor: int
    tasks: list[str]
    limits: list[str]


def swept(reply: list[Any]) -> Swept:
    """The reply of sweep.lua."""
    more, cursor, *removed = reply
    tasks, limits = ([decoded(name) for name in names] for names in removed)
    return Swept(bool(more), int(cursor), tasks, limits)


def election(reply: list[Any]) -> Election:
    """The reply of lead.lua."""
    term, leader, workers, watches, late_us, quiet_ms, now_us = reply
    return Election(term, decoded(leader), workers, bool(watches), late_us, quiet_ms / 1_000 if quiet_ms >= 0 else None, now_us)


def check_versions(queue: str, reply: list[Any]) -> None:
    """Raises `IncompatibleVersion` if submit.lua, publish.lua or check_format.lua refused the version of this library."""
    first = reply[0] if reply else None
    if first == b"outdated":
        raise IncompatibleVersion(too_old(queue, int(reply[1]), int(reply[2])))
    if first == b"early":
        raise IncompatibleVersion(too_new(queue, decoded(reply[1]), int(reply[2])))
    if first == b"unreadable":
        raise IncompatibleVersion(unreadable(queue, Keys(queue).prefix, int(reply[1])))


def accepted(queue: str, reply: list[Any], count: int) -> Accepted:
    """The reply of submit.lua for so many jobs. Raises `IncompatibleVersion`."""
    check_versions(queue, reply)
    backlog = reply.pop() if len(reply) > count else None
    return Accepted([_ACCEPTANCES.get(answer) or other_job(answer) for answer in reply], backlog)


def other_job(answer: bytes) -> OtherJob:
    """An answer that names the job whose mark is asked for."""
    state, _, job_id = decoded(answer).partition(" ")
    return OtherJob(Acceptance(state), job_id)


class NotCharged(NamedTuple):
    """Tokens that a job has settled and that are not charged, since a bucket's debt is bounded."""

    job: str
    bucket: str
    tokens: int


class Throttled(NamedTuple):
    """A freeze that a provider's word has caused, or would have if the bucket were not frozen already: then `was_frozen`.

    `times`: how often this job was throttled, this time included.
    """

    job: str
    bucket: str
    wait_us: int
    times: int
    was_frozen: bool


class Times(NamedTuple):
    """When an attempt started, and the instant from which its job had waited, by Redis's clock."""

    job: bytes
    started_us: int
    due_us: int


class Adapted(NamedTuple):
    """What became of rates that adapt.

    next_us: until they are looked at again; -1: when there is a reason. changed: those that were lowered, or have the declared rate again: the
    limit, its share of that now, and the one before (millionths).
    """

    next_us: int
    changed: list[tuple[str, int, int]]


class FinishAnswers(list[FinishAnswer]):
    """The answers in the order of the outcomes, what of their settlements is not charged, and the freezes of the throttled ones.

    `refusals`: why outcomes are refused, by their places. times: of the attempts that ran, if that was asked for.
    """

    def __init__(
        self,
        answers: Iterable[FinishAnswer],
        not_charged: Iterable[NotCharged] = (),
        throttled: Iterable[Throttled] = (),
        refusals: Mapping[int, str] | None = None,
        times: Iterable[Times] = (),
    ) -> None:
        super().__init__(answers)
        self.times = list(times)
        self.not_charged = list(not_charged)
        self.throttled = list(throttled)
        self.refusals = dict(refusals or {})


def finish_answers(reply: list[Any], count: int) -> FinishAnswers:
    """The reply of finish.lua for so many outcomes."""
    rows: dict[bytes, list[Any]] = {b"not charged": [], b"throttled": []}
    more, times = reply[count:], []
    if more and more[-1][0] == b"times":
        times = _times(more.pop()[1:])
    for kind, job, bucket, *numbers in more:
        rows[kind].append((decoded(job), decoded(bucket), *map(int, numbers)))
    throttled = [Throttled(job, bucket, wait_us, times, bool(again)) for job, bucket, wait_us, times, again in rows[b"throttled"]]
    answers = [_FINISH_ANSWERS.get(answer, FinishAnswer.refused) for answer in reply[:count]]
    refusals = {place: decoded(reply[place]).partition(" ")[2] for place, answer in enumerate(answers) if answer is FinishAnswer.refused}
    return FinishAnswers(answers, [NotCharged(*row) for row in rows[b"not charged"]], throttled, refusals, times)


def _times(flat: list[Any]) -> list[Times]:
    """Of a record that was damaged there are none."""
    known = zip(flat[::4], flat[2::4], flat[3::4], strict=True)
    return [Times(job, int(started), int(due)) for job, started, due in known if _is_instant(started) and _is_instant(due)]


def _is_instant(value: bytes | None) -> bool:
    return value is not None and value.isdigit() and len(value) < len(str(2**63))


def recorded_starts(rows: list[Any]) -> list[RecordedStart]:
    """The log of starts, as claim.lua writes it."""
    entries = [dict(zip(flat[::2], flat[1::2], strict=True)) for _, flat in rows]
    return [RecordedStart(decoded(fields[b"job"]), int(fields[b"attempt"]), int(fields[b"now"])) for fields in entries]


def latest_event(rows: list[Any]) -> str:
    """The id of the last of these entries of the history."""
    return decoded(rows[-1][0]) if rows else BEGINNING


def begins_late(rows: list[Any], after: str) -> bool:
    """Whether the first of these entries is not the one at this place; from the beginning on there is none."""
    return bool(rows) and after not in ("0", BEGINNING) and decoded(rows[0][0]) != after


def events(rows: list[Any], after: str, *, missed: bool) -> list[JobEvent]:
    """Entries of the history, as final_state.lua writes them, without the one at this place. `missed`: some before the first are gone."""
    found: list[JobEvent] = []
    for entry, flat in rows:
        event_id = decoded(entry)
        if event_id == after:
            continue
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        state, attempt = State(decoded(fields[b"state"])), int(fields[b"attempt"])
        at = int(event_id.partition("-")[0]) / 1000
        found.append(JobEvent(event_id, decoded(fields[b"job"]), decoded(fields[b"task"]), state, attempt, at, missed and not found))
    return found


class Decision(NamedTuple):
    """The answer to a request for tokens. `left` has for each bucket its tokens left and the seconds until its next one lands.

    at_us: this instant, µs by Redis's clock. levels: what our own starts had used by then of the buckets of which somebody tells what their
    providers say, as `Observation` brings it back.
    """

    state: TakeAnswer
    wait_s: float | None
    bucket: str
    reason: str
    left: list[tuple[int, float]]
    at_us: int = 0
    levels: str = ""


def decision(reply: list[Any]) -> Decision:
    """The reply of take.lua."""
    state, wait_us, bucket, reason, at_us, levels, *left = reply
    pairs = [(tokens, max(next_us, 0) / MICROSECONDS) for tokens, next_us in zip(left[::2], left[1::2], strict=True)]
    wait_s = None if wait_us < 0 else wait_us / MICROSECONDS
    return Decision(TakeAnswer(decoded(state)), wait_s, decoded(bucket), decoded(reason), pairs, int(at_us), decoded(levels))
