"""Flows: what members a node has and what became of them; batches are opened, filled and sealed here. One method per script."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from runner.errors import BacklogFull
from runner.jobs import INDEXES, MEMBER_STATES, BatchNotOpen, BatchProgress, MemberState
from runner.store.portions import MOST_BATCHES, MOST_LINKED, MOST_MEMBERS, portions
from runner.store.queue import QueueStore
from runner.store.text import decoded

BATCH = "#"
"""The name of a batch's node begins with it; no job's id does."""
_ANY, _DROPPED = -1, -2
_NO_CAP = -1


class Member(NamedTuple):
    """A job that a node waits for; `place` is that of its handle."""

    place: int
    id: str
    state: MemberState


class Sealing(StrEnum):
    """What a node is after it was sealed. `over`: there is none, or not any more."""

    sealed = "sealed"
    incomplete = "incomplete"
    dropped = "dropped"
    over = "over"


class Opened(StrEnum):
    """What a batch was when it was opened."""

    new = "new"
    open = "open"
    sealed = "sealed"
    full = "full"
    many = "many"


class Linked(NamedTuple):
    """Whether jobs were made members: `unknown` is the first that there is not; `over`: the node takes no more."""

    unknown: str = ""
    over: bool = False


class Members(NamedTuple):
    """A page of the members of a node, how many have each code, and the batch if it is one."""

    counts: list[int]
    page: list[Member]
    batch: BatchProgress | None

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(self.counts)


class Flows(QueueStore):
    """The role of a producer of flows and batches, and of who asks for them. Every call can be repeated."""

    async def open_batch(self, batch_id: str, on_failure: str, size: int, most_backlog: int | None = None) -> Opened:
        """Begin a batch, or go on with one. Raises `BacklogFull` if its `size` does not fit (0: unknown), `BatchNotOpen` if too many are open."""
        most = self.settings.max_backlog or _NO_CAP
        if most_backlog is not None:
            most = most_backlog if most == _NO_CAP else min(most, most_backlog)
        answer, backlog = await self._run("open", id=batch_id, on_failure=on_failure, size=size, most_backlog=most)
        opened = Opened(decoded(answer))
        if opened is Opened.many:
            raise BatchNotOpen(
                f"{int(backlog)} batches of queue {self.keys.queue!r} are open: seal those that have all their jobs, or cancel them"
            )
        if opened is Opened.full:
            raise BacklogFull(self.keys.queue, int(backlog), most, size)
        return opened

    async def link(self, node: str, ids: Sequence[str], first: int = -1) -> Linked:
        """Make these jobs members, from this index on (-1: after those there are), a hundred a call."""
        for part in portions(ids, MOST_LINKED):
            answer, *unknown = await self._run("link", part, node=node, first_index=first)
            if answer != b"linked":
                return Linked(decoded(unknown[0]) if unknown else "", over=answer == b"over")
            first = first + len(part) if first >= 0 else first
        return Linked()

    async def seal(self, node: str, total: int = _ANY) -> tuple[Sealing, int]:
        """Say that a node has all its members, so many of them, and let go what waits for none; and how many there are."""
        answer, count = await self._run("seal", node=node, total=total)
        return Sealing(decoded(answer)), int(count)

    async def drop(self, node: str) -> None:
        """Forget a follower that is not sealed."""
        await self._run("seal", node=node, total=_DROPPED)

    async def members(self, node: str, first: int = 0, most: int = 0) -> Members | None:
        """A page of the members, those first that have not ended; None if there is no such node."""
        reply = await self._run("members", node=node, first=first, most=min(most, MOST_MEMBERS))
        if reply is None:
            return None
        asked, fields, counts, flat = reply
        batch = BatchProgress.of(decoded(asked).removeprefix(BATCH), fields, counts) if fields else None
        return Members(list(map(int, counts)), [_member(*pair) for pair in zip(flat[::2], flat[1::2], strict=True)], batch)

    async def batches(self, begins: str = "", most: int = MOST_BATCHES) -> list[BatchProgress]:
        """Batches that have not ended, the latest first, whose ids begin so; without a beginning those of no tenant."""
        reply = await self._run("batches", begins=begins, most=min(most, MOST_BATCHES))
        return [
            BatchProgress.of(decoded(id_), fields, counts) for id_, fields, counts in zip(reply[::3], reply[1::3], reply[2::3], strict=True)
        ]

    async def all_members(self, node: str) -> list[Member] | None:
        """Every member, in the order of their indexes; None if there is no such node."""
        found: dict[str, Member] = {}
        while True:
            page = await self.members(node, len(found), MOST_MEMBERS)
            if page is None:
                return None
            known = len(found)
            found |= {member.id: member for member in page.page}
            if len(found) >= page.total or not page.page:
                return sorted(found.values())
            if len(found) < known + len(page.page):  # one has ended meanwhile, and moved: begin anew
                found.clear()


def node_of_batch(batch_id: str) -> str:
    """The node of a batch."""
    return BATCH + batch_id


def _member(job_id: Any, score: Any) -> Member:
    code, index = divmod(int(float(score)), INDEXES)
    return Member(index, decoded(job_id), MEMBER_STATES[code] if code < len(MEMBER_STATES) else MemberState.gone)
