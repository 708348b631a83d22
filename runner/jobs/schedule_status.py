"""ScheduleStatus: a schedule as it stands: when it runs next, what came of the last run, and of all instants so far."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from runner.clock import MICROSECONDS, seconds_or_none
from runner.jobs.cron import what_is_odd, zone_named
from runner.jobs.schedule import ScheduleSpec

ScheduleState = Literal["active", "paused", "dormant", "ended"]


class ComingRun(NamedTuple):
    """An instant to come. at: seconds since 1970. local: what the clock of its zone shows. note: "gap" if the clock has just jumped, "fold" if it shows this twice."""

    at: float
    local: datetime
    note: str


@dataclass(frozen=True, slots=True)
class ScheduleStatus:
    """A schedule. Instants are in seconds since 1970, None for what there is not.

    spec: None if its entry is damaged; `fault` says how. in_code: declared in code, not added at run time. state: "dormant" if no live worker
    declares it, "ended" if it has no instant any more. next_at: the next instant, without jitter. last_at: the latest that is settled; last_job
    is the latest job, last_state how the latest run that has ended ended. queued_at: the instant whose run waits for the one before it.
    made, missed, skipped, refused: what became of its instants; why: of the latest that were not made.
    """

    name: str
    spec: ScheduleSpec | None
    in_code: bool
    state: ScheduleState
    next_at: float | None = None
    last_at: float | None = None
    last_job: str | None = None
    last_state: str | None = None
    last_ended_at: float | None = None
    queued_at: float | None = None
    made: int = 0
    missed: int = 0
    skipped: int = 0
    refused: int = 0
    why: str = ""
    paused_at: float | None = None
    paused_by: str = ""
    pause_reason: str = ""
    fault: str | None = None
    anchor_us: int = 0

    def coming(self, most: int = 5) -> Iterator[ComingRun]:
        """The next instants, from the next one on."""
        if self.spec is None or self.next_at is None:
            return
        zone = zone_named(self.spec.tz)
        for count, at_us in enumerate(self.spec.following(round(self.next_at * MICROSECONDS), self.anchor_us)):
            if count == most:
                return
            at = at_us / MICROSECONDS
            yield ComingRun(at, datetime.fromtimestamp(at, zone), what_is_odd(self.spec.tz, at_us))

    def document(self) -> dict[str, Any]:
        """As JSON: what the command line and the HTTP API answer."""
        spec = self.spec
        return {
            "name": self.name,
            "task": spec.task if spec else None,
            "args": dict(spec.args) if spec else None,
            **(_timing(spec) if spec else {}),
            "options": dict(spec.options) if spec else None,
            "in_code": self.in_code,
            "state": self.state,
            "next_at": self.next_at,
            "last_at": self.last_at,
            "last_job": self.last_job,
            "last_state": self.last_state,
            "last_ended_at": self.last_ended_at,
            "queued_at": self.queued_at,
            "counts": {name: getattr(self, name) for name in _COUNTS},
            "why": self.why,
            "paused": None if self.paused_at is None else {"at": self.paused_at, "by": self.paused_by, "reason": self.pause_reason},
            "fault": self.fault,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "ScheduleStatus":
        """Of what `document` has made."""
        paused = document["paused"] or {}
        return cls(
            name=document["name"],
            spec=None if document["task"] is None else _spec_of(document),
            **{name: document[name] for name in _SAME},
            **{name: document["counts"][name] for name in _COUNTS},
            paused_at=paused.get("at"),
            paused_by=paused.get("by", ""),
            pause_reason=paused.get("reason", ""),
            # Of a grid the next instant tells the others.
            anchor_us=round((document["next_at"] or 0) * MICROSECONDS),
        )


_SAME = (
    "in_code",
    "state",
    "next_at",
    "last_at",
    "last_job",
    "last_state",
    "last_ended_at",
    "queued_at",
    "why",
    "fault",
)
_COUNTS = ("made", "missed", "skipped", "refused")


def _timing(spec: ScheduleSpec) -> dict[str, Any]:
    """When and how it runs: times in seconds, instants as text."""
    return {
        "cron": spec.cron,
        "every": seconds_or_none(spec.every_us),
        "tz": spec.tz,
        "start": _text(spec.start_us),
        "end": _text(spec.end_us),
        "missed": spec.missed,
        "grace": spec.grace_us / MICROSECONDS,
        "overlap": spec.overlap,
        "jitter": spec.jitter_us / MICROSECONDS,
    }


def _spec_of(document: Mapping[str, Any]) -> ScheduleSpec:
    return ScheduleSpec(
        name=document["name"],
        task=document["task"],
        args=document["args"],
        cron=document["cron"],
        every_us=None if document["every"] is None else round(document["every"] * MICROSECONDS),
        tz=document["tz"],
        start_us=_us(document["start"]),
        end_us=_us(document["end"]),
        missed=document["missed"],
        grace_us=round(document["grace"] * MICROSECONDS),
        overlap=document["overlap"],
        jitter_us=round(document["jitter"] * MICROSECONDS),
        options=document["options"],
    )


def _text(us: int | None) -> str | None:
    return None if us is None else datetime.fromtimestamp(us / MICROSECONDS, UTC).isoformat()


def _us(text: str | None) -> int | None:
    return None if text is None else round(datetime.fromisoformat(text).timestamp() * MICROSECONDS)
