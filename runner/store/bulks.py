"""Bulks: acts upon many jobs at once. One method per script."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from runner.clock import MICROSECONDS
from runner.connection import command, translated_errors
from runner.jobs import BulkAction, BulkPhase, BulkStatus
from runner.store.answers import BulkAnswer
from runner.store.portions import MOST_ACTED, MOST_EXAMINED
from runner.store.queue import QueueStore
from runner.store.text import decoded

_WHY = "why:"


class BulkPage(NamedTuple):
    """What one page came to: how many records were looked at, and whether there is more to do."""

    looked: int
    more: bool


class StoredBulk(NamedTuple):
    """A bulk, and whose it is: as the caller who began it is told from others."""

    status: BulkStatus
    owner: str


class BulkPages(QueueStore):
    """The role of who works them off: the leader, and whoever waits for one."""

    async def bulk(self, bulk_id: str = "") -> BulkPage:
        """Do the next page of this one, or of the first that has something to do."""
        looked, more = await self._run("bulk", id=bulk_id, examined_most=MOST_EXAMINED, acts_most=MOST_ACTED)
        return BulkPage(int(looked), bool(more))


class Bulks(BulkPages):
    """The role of who acts upon many jobs."""

    async def begin_bulk(
        self, bulk_id: str, action: BulkAction, wire: str, shown: Mapping[str, Any], *, owner: str = "", reason: str = ""
    ) -> BulkAnswer:
        """Begin to count the jobs of a filter, given as select takes it, and as its caller wrote it."""
        answer = await self._run(
            "bulk_begin", id=bulk_id, action=action.value, filter_json=wire, shown_json=json.dumps(shown), owner=owner, reason=reason
        )
        return BulkAnswer(decoded(answer))

    async def confirm_bulk(self, bulk_id: str, expected: int) -> tuple[BulkPhase | None, int]:
        """Act upon what was counted: its phase, and how many are counted; None for an unknown one."""
        phase, *counted = await self._run("bulk_confirm", id=bulk_id, expected=expected)
        known = decoded(phase)
        return None if known == "unknown" else BulkPhase(known), int(counted[0]) if counted else expected

    async def stop_bulk(self, bulk_id: str) -> BulkPhase | None:
        """Go no further: the phase it was in, None for an unknown one."""
        phase = decoded(await self._run("bulk_stop", id=bulk_id))
        return None if phase == "unknown" else BulkPhase(phase)

    async def read_bulk(self, bulk_id: str) -> StoredBulk | None:
        """One as it stands."""
        with translated_errors():
            return _stored(bulk_id, await command(self.redis, "HGETALL", self.keys.bulk(bulk_id)))

    async def list_bulks(self) -> list[StoredBulk]:
        """The open ones, and those that ended last."""
        with translated_errors():
            ids = [decoded(member) for member in await command(self.redis, "ZRANGE", self.keys.bulks, 0, _MOST_LISTED - 1)]
            open_ids = [decoded(member) for member in await command(self.redis, "ZRANGE", self.keys.bulks, -_MOST_LISTED, -1)]
        found = [await self.read_bulk(one) for one in dict.fromkeys([*reversed(open_ids), *ids])]
        known = [one for one in found if one is not None]
        known.sort(key=lambda one: (not one.status.phase.is_open, -(one.status.began_at or 0)))
        return known[:_MOST_LISTED]


_MOST_LISTED = 100


def _stored(bulk_id: str, flat: list[bytes]) -> StoredBulk | None:
    """None for a record that is gone, or was damaged by hand."""
    f = {decoded(name): decoded(value) for name, value in zip(flat[::2], flat[1::2], strict=True)}
    try:
        status = BulkStatus(
            bulk_id,
            BulkAction(f["action"]),
            BulkPhase(f["phase"]),
            json.loads(f["shown"]),
            _by(f.get("by", "")),
            f.get("reason", ""),
            int(f.get("counted", "0")),
            int(f.get("done", "0")),
            int(f.get("skipped", "0")),
            {name.removeprefix(_WHY): int(value) for name, value in f.items() if name.startswith(_WHY)},
            *(_seconds(f.get(name)) for name in ("began_at", "counted_at", "confirmed_at", "ended_at")),
        )
    except (KeyError, ValueError, TypeError):
        return None
    return StoredBulk(status, f.get("owner", ""))


def _by(actor: str) -> str:
    try:
        return str(json.loads(actor)[0])
    except (ValueError, TypeError, IndexError, KeyError):
        return actor


def _seconds(us: str | None) -> float | None:
    return None if us is None else int(us) / MICROSECONDS
