"""What the scripts say of schedules, as values. Pure functions over bytes."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from runner.clock import MICROSECONDS
from runner.jobs import ScheduleSpec, ScheduleState, ScheduleStatus
from runner.store.text import decoded

_ENTRY = re.compile(rb"(\d+) (code|run) (worker|producer) (\d+) (\d+)\n(.*)", re.DOTALL)


class ScheduleEntry(NamedTuple):
    """A schedule in Redis. version: "" if the entry is damaged, which `fault` says; spec is None then. body: the JSON of its spec."""

    version: str
    in_code: bool
    role: str
    revision: int
    since_us: int
    body: str
    spec: ScheduleSpec | None
    fault: str | None = None


class DueSchedule(NamedTuple):
    """One that is due: since when, and what is known of it: the instant to run next, where its grid begins, the latest that is settled, the one that waits."""

    name: str
    due: str
    entry: ScheduleEntry
    nominal_us: int | None
    anchor_us: int
    last_us: int | None
    pending_us: int | None


class KnownSchedule(NamedTuple):
    """One that is asked about; `entry` is None if there is none of this name."""

    name: str
    entry: ScheduleEntry | None
    anchor_us: int | None
    last_us: int | None
    status: ScheduleStatus | None


def entry_of(name: str, text: bytes) -> ScheduleEntry:
    """An entry."""
    match = _ENTRY.fullmatch(text)
    if match is None:
        return ScheduleEntry("", False, "worker", 0, 0, "", None, "its entry was damaged: remove it, or add it again")
    version, source, role, revision, since, body = (decoded(part) for part in match.groups())
    try:
        spec, fault = ScheduleSpec.from_json(name, body), None
    except (TypeError, ValueError) as error:
        spec, fault = None, f"its entry cannot be read ({type(error).__name__}: {str(error)[:200]}): remove it, or add it again"
    return ScheduleEntry(version, source == "code", role, int(revision), int(since), body, spec, fault)


def due_schedule(row: Sequence[Any]) -> DueSchedule:
    """One row of due.lua."""
    name, due, text, nominal, anchor, last, pending = row
    entry = entry_of(decoded(name), text)
    return DueSchedule(decoded(name), decoded(due), entry, _int(nominal), _int(anchor) or 0, _int(last), _int(pending))


def known_schedule(name: str, row: Sequence[Any]) -> KnownSchedule:
    """One row of schedules.lua."""
    text, due, served, dormant, words = row
    known = {decoded(field): decoded(value) for field, value in zip(words[::2], words[1::2], strict=True)}
    anchor_us, last_us = _int(known.get("anchor")), _int(known.get("last"))
    if text is None:
        return KnownSchedule(name, None, anchor_us, last_us, None)
    entry = entry_of(name, text)
    state: ScheduleState = "active"
    if "paused" in known:
        state = "paused"
    elif entry.in_code and not served:
        state = "dormant"
    elif not due and not dormant:
        state = "ended"
    status = ScheduleStatus(
        name=name,
        spec=entry.spec,
        in_code=entry.in_code,
        state=state,
        next_at=None if state == "paused" else _at(known.get("nominal")),
        last_at=_at(known.get("last")),
        last_job=known.get("current") or None,
        last_state=known.get("last_state") or None,
        last_ended_at=_at(known.get("last_ended")),
        queued_at=_at(known.get("pending")),
        made=int(known.get("made", 0)),
        missed=int(known.get("missed", 0)),
        skipped=int(known.get("skipped", 0)),
        refused=int(known.get("refused", 0)),
        why=known.get("why", ""),
        paused_at=_at(known.get("paused")),
        paused_by=known.get("paused_by", ""),
        pause_reason=known.get("reason", ""),
        fault=entry.fault,
        anchor_us=anchor_us or 0,
    )
    return KnownSchedule(name, entry, anchor_us, last_us, status)


def _int(text: Any) -> int | None:
    return int(text) if text else None


def _at(text: str | None) -> float | None:
    return int(text) / MICROSECONDS if text else None
