"""Access: the keys of the service, and the audit. One method per script."""

import json
from collections.abc import AsyncGenerator, Sequence
from itertools import repeat
from typing import NamedTuple

from runner.access import ApiKey, AuditLine
from runner.clock import MICROSECONDS
from runner.connection import command, translated_errors
from runner.store.queue import QueueStore
from runner.store.text import decoded


class KeyAnswer(NamedTuple):
    """Keys as they are kept, and Redis's clock. damaged: the ids of records that cannot be read, which let nobody in."""

    now_us: int
    has_keys: bool
    keys: list[ApiKey]
    damaged: list[str]


class Access(QueueStore):
    """The role of who gives keys, and of the service that asks for them."""

    async def has_keys(self) -> bool:
        """Whether there is any key."""
        return (await self.keys_of([])).has_keys

    async def now_us(self) -> int:
        """The present instant by Redis's clock."""
        return (await self.keys_of([])).now_us

    async def key_ids(self) -> list[str]:
        """The id of every key."""
        return [decoded(key_id) for key_id in (await self._run("keys", lists=1))[2:]]

    async def keys_of(self, ids: Sequence[str], *, used: Sequence[str] | None = None) -> KeyAnswer:
        """The keys of these ids, as many as one call takes. `used`: for each the digest of the secret that was sent."""
        asked = [word for pair in zip(ids, used or repeat(""), strict=False) for word in pair]
        now_us, has_keys, *rows = await self._run("keys", asked, lists=0)
        keys, damaged = [], []
        for key_id, record, day in zip(rows[::3], rows[1::3], rows[2::3], strict=True):
            try:
                keys.append(ApiKey.from_json(decoded(key_id), decoded(record), None if day is None else int(day)))
            except (ValueError, KeyError, TypeError):
                damaged.append(decoded(key_id))
        return KeyAnswer(int(now_us), bool(has_keys), keys, damaged)

    async def change_key(self, known: ApiKey | None, key: ApiKey, action: str, change: str) -> bool:
        """Put a key in the place of the one that is known, None for a new one. Returns False if it has changed meanwhile."""
        before = "" if known is None else known.kept
        answer = await self._run("change_key", id=key.id, known=before, record=key.to_json(), action=action, name=key.name, change=change)
        return bool(answer == b"changed")

    def changed_keys(self) -> AsyncGenerator[str | None, None]:
        """Ids of keys as they are made and changed. None comes first, and whenever one may have been missed."""
        return self._announcements(self.keys.keys_changed)

    async def note_refusals(self, lines: Sequence[tuple[str, str, str]]) -> None:
        """Write into the audit what was refused: action, target, and what was said."""
        await self._run("audit", [word for line in lines for word in line])

    async def audit(self, begin: str = "-", most: int = 1_000) -> list[AuditLine]:
        """The first lines from one on, or from an instant in milliseconds; from the beginning with "-", after a line with "(" before its id."""
        with translated_errors():
            rows = await command(self.redis, "XRANGE", self.keys.audit, begin, "+", "COUNT", most)
        return [line_of(decoded(entry), list(map(decoded, flat))) for entry, flat in rows]


def line_of(entry: str, flat: Sequence[str]) -> AuditLine:
    """One line, from its id and its fields and values."""
    texts = dict(zip(flat[::2], flat[1::2], strict=True))
    by, address, request, door = _actor(texts.get("actor", ""))
    told = {name: texts.get(name, "") for name in ("action", "target", "before", "after", "reason", "outcome")}
    return AuditLine(entry, int(texts.get("at", "0")) / MICROSECONDS, by, address, request, **told, door=door)


def _actor(text: str) -> tuple[str, str, str, str]:
    """Lines of versions before have no door."""
    try:
        by, address, request, *door = json.loads(text)
    except (ValueError, TypeError):
        return text, "", "", ""
    return str(by), str(address), str(request), str(door[0]) if door else ""
