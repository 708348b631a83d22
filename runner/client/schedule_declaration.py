"""How the schedules that code declares come into the queue: under the rule of limits."""

from collections.abc import Sequence
from typing import Any

from runner.client.schedules import put_of
from runner.jobs import ScheduleSpec
from runner.store import Change, KnownSchedule, Role, ScheduleEntry, Schedules

_MOST_TRIES = 100

Outdone = tuple[str, str, str]


async def declare(store: Schedules, specs: Sequence[ScheduleSpec], role: Role, revision: int, since_us: int) -> list[Outdone]:
    """Put these into the queue, as far as no other declaration stands against them; those against which one does. Raises `StoreUnavailable`."""
    outdone: list[Outdone] = []
    left = {spec.name: spec for spec in specs}
    for _ in range(_MOST_TRIES):
        if not left:
            break
        now_us, found = await store.known_schedules(list(left))
        for known in found:
            spec = left[known.name]
            by, change = _change(spec, known, now_us, (role, revision, since_us))
            if by is not None:
                outdone.append(("schedule", spec.name, by))
            if change is None or await store.change_schedule(change):
                del left[spec.name]
    return outdone


def _change(spec: ScheduleSpec, known: KnownSchedule, now_us: int, mine: tuple[Role, int, int]) -> tuple[str | None, Change | None]:
    """By what another declaration wins, and what is to be written."""
    role, revision, since_us = mine
    body, entry = spec.to_json(), known.entry
    marks: dict[str, Any] = {"in_code": True, "role": role, "revision": revision, "since_us": since_us}
    if entry is None or not entry.version:
        return None, put_of(spec, body, known, now_us)._replace(**marks)
    if not entry.in_code:
        return "run time", None
    if known.status is not None and known.status.state == "dormant":
        entry = entry._replace(role=role.value)  # who declares it no more stands against nobody who does
    by = _winner_over(entry, role, revision, since_us)
    if entry.body == body:
        is_mine = (entry.role, entry.revision, entry.since_us) == (role.value, revision, since_us)
        own = Change(spec.name, "own", entry.version, body=body)._replace(**marks)
        return None, None if by is not None or is_mine else own
    if by is not None:
        return by, None
    return None, put_of(spec, body, known, now_us)._replace(**marks)


def _winner_over(entry: ScheduleEntry, role: Role, revision: int, since_us: int) -> str | None:
    """By what that declaration wins over one of ours; None if ours does. As publish.lua says it of limits."""
    if entry.role != role.value:
        return "worker" if entry.role == Role.worker.value else None
    if entry.revision != revision:
        return "revision" if entry.revision > revision else None
    return "start" if entry.since_us > since_us else None
