"""Parents: what the jobs have returned that a running one comes after. It reads them when a handler asks, in parts, and copies nothing."""

import asyncio
from functools import partial
from typing import Any

from typing_extensions import override

from runner.errors import ConfigurationError, InvalidOption
from runner.jobs import JobStatus, MemberState, Parent, ReadParents, Result, State, no_result
from runner.ranges import checked_whole
from runner.store import Depth, JobStore, Member, portions

MOST_AT_ONCE = 1_000
"""Parents of one call."""
MOST_BYTES = 8_000_000
"""Of their results."""
_PORTION = 20
_LEFT_OUT = "the results of this call have more than 8 MB: read fewer at once, from first={first}"


class Parents(ReadParents):
    """What the handlers of one worker ask."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._loop = asyncio.get_running_loop()

    @override
    async def __call__(self, job_id: str, kind: Result | None, first: int, most: int | None) -> list[Parent[Any]]:
        checked_whole("first parent", first, error=InvalidOption)
        if most is not None:
            checked_whole("most parents", most, error=InvalidOption)
        members = await self._store.all_members(job_id) or []
        if most is None and len(members) - first > MOST_AT_ONCE:
            raise InvalidOption(
                f"job {job_id} comes after {len(members)} jobs: read them in parts, by first=0, most={MOST_AT_ONCE} and so on"
            )
        part = members[first : first + (MOST_AT_ONCE if most is None else most)]
        return await self._read(part, kind)

    @override
    def blocking(self, job_id: str, kind: Result | None, first: int, most: int | None) -> list[Parent[Any]]:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run_coroutine_threadsafe(self(job_id, kind, first, most), self._loop).result()
        raise ConfigurationError(f"job {job_id}: an event loop runs here: `await current_job().parents()`")

    async def _read(self, members: list[Member], kind: Result | None) -> list[Parent[Any]]:
        found: list[Parent[Any]] = []
        left = MOST_BYTES
        for part in portions(members, _PORTION):
            wanted = [member.id for member in part if member.state is MemberState.succeeded] if left > 0 else []
            statuses = dict(zip(wanted, await self._store.get(wanted, Depth.full), strict=True)) if wanted else {}
            for member in part:
                status = statuses.get(member.id)
                left -= (status.result_bytes or 0) if status is not None else 0
                result = _result(member, status, kind, left_out=left <= 0 and bool(found))
                found.append(Parent(member.id, member.place, member.state, result))
        return found


def _result(member: Member, status: JobStatus | None, kind: Result | None, *, left_out: bool) -> Any:
    if left_out:
        return no_result(member.id, _LEFT_OUT.format(first=member.place))
    if status is None or status.state is not State.succeeded:
        return no_result(
            member.id, "its record has expired, or is gone" if member.state is MemberState.succeeded else f"it is {member.state}"
        )
    return (lambda: status.result) if kind is None else partial(kind.read, status.result)
