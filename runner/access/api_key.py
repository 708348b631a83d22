"""ApiKey: one key as it is kept: its rights and restrictions, and digests of its secrets. No secret."""

import hmac
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, date, datetime
from ipaddress import ip_network
from typing import Any, Self

from runner.access.principal import Principal, check_tenant
from runner.access.scopes import SHARED, Scope
from runner.clock import MICROSECONDS
from runner.errors import ConfigurationError
from runner.limits import TokenBucket
from runner.names import fits
from runner.ranges import checked_whole

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.@-]{0,63}")
_TASK = re.compile(r"[^\s*]{1,200}\*?")
_FIRST_DAY = date(1970, 1, 1).toordinal()
_BESIDE = {"id", "used_day", "kept"}
"""Fields that are no part of the record."""
_MOST_TASKS = 50
_MOST_SOURCES = 20


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key. Instants are microseconds by Redis's clock; of `digests` each holds until an instant, or with 0 as long as the key.

    used_day: when it was last accepted, in days since 1970. kept: the record that it was read from. preset: what its scopes are called, if they are those of one.
    """

    id: str
    name: str
    scopes: tuple[Scope, ...]
    digests: tuple[tuple[str, int], ...] = field(repr=False)
    preset: str | None = None
    tasks: tuple[str, ...] = ()
    tenant: str | None = None
    rate: str | None = None
    max_backlog: int | None = None
    sources: tuple[str, ...] = ()
    shows_args: bool = True
    created_us: int = 0
    expires_us: int | None = None
    rotated_us: int | None = None
    revoked_us: int | None = None
    reason: str = ""
    used_day: int | None = None
    kept: str = field(default="", repr=False, compare=False)

    def checked(self) -> Self:
        """The key itself. Raises `ConfigurationError` for a restriction that cannot be used."""
        if not fits(_NAME, self.name):
            raise ConfigurationError(
                f"name {self.name!r:.80} of a key cannot be used: give 1 to 64 letters, digits, ' ', '_', '.', '@' or '-'"
            )
        if self.tenant is not None:
            check_tenant(self.tenant)
        shared = sorted(SHARED & set(self.scopes)) if self.tenant is not None else []
        if shared:
            raise ConfigurationError(f"key {self.name!r} of tenant {self.tenant!r} cannot have {shared[0]}: it concerns all tenants")
        wrong = next((task for task in self.tasks if not fits(_TASK, task)), None)
        if wrong is not None or len(self.tasks) > _MOST_TASKS:
            said = f"task {wrong!r:.80}" if wrong is not None else f"{len(self.tasks)} tasks"
            raise ConfigurationError(f"{said} cannot be used for a key: give at most {_MOST_TASKS} names, or beginnings like 'billing.*'")
        if self.rate is not None:
            TokenBucket("rate", rate=self.rate)
        if self.max_backlog is not None:
            checked_whole("max_backlog", self.max_backlog, of=f"key {self.name!r}")
        try:
            networks = [ip_network(source) for source in self.sources]
        except ValueError as error:
            raise ConfigurationError(f"source of key {self.name!r}: {error}; give an address, or a network like 10.0.0.0/8") from error
        if len(networks) > _MOST_SOURCES:
            raise ConfigurationError(f"key {self.name!r} has {len(networks)} sources: give at most {_MOST_SOURCES}")
        return self

    def why_refused(self, now_us: int) -> str | None:
        """Why the key is not accepted any more; None while it is."""
        if self.revoked_us is not None:
            return "revoked"
        return "expired" if self.expires_us is not None and now_us >= self.expires_us else None

    def matches(self, digest: str, now_us: int) -> bool:
        """Whether a secret of this digest is one of the key. Takes as long for a wrong one as for a right one."""
        good = [
            hmac.compare_digest(digest.encode(), known.encode()) & (not until_us or now_us < until_us) for known, until_us in self.digests
        ]
        return any(good)

    def good_for_us(self, digest: str, now_us: int) -> int | None:
        """How long this digest will be accepted; None: as long as nobody changes the key."""
        ends = [end for known, end in self.digests if known == digest and end]
        if self.expires_us is not None:
            ends.append(self.expires_us)
        return min(ends) - now_us if ends else None

    def rotated(self, digest: str, now_us: int, grace_us: int) -> Self:
        """With another secret; those before are accepted for the grace."""
        until_us = now_us + grace_us
        kept = tuple((known, min(end, until_us) if end else until_us) for known, end in self.digests if not end or end > now_us)
        return replace(self, digests=((digest, 0), *(kept if grace_us else ())), rotated_us=now_us)

    def principal(self) -> Principal:
        """Whoever sends a secret of this key."""
        networks = tuple(ip_network(source) for source in self.sources)
        return Principal(
            self.name,
            frozenset(self.scopes),
            self.id,
            self.tenant,
            self.tasks,
            self.rate,
            self.max_backlog or None,
            networks,
            self.shows_args,
        )

    def to_json(self) -> str:
        """As Redis keeps it, under its id."""
        document = {name: value for name, value in asdict(self).items() if name not in _BESIDE and value not in (None, "", ())}
        return json.dumps(document, separators=(",", ":"))

    @classmethod
    def from_json(cls, key_id: str, text: str, used_day: int | None = None) -> Self:
        """The key of this id. Raises ValueError, KeyError or TypeError for a record that was damaged by hand."""
        stored = json.loads(text)
        if not isinstance(stored, dict):
            raise TypeError(f"the record of a key is {type(stored).__name__}")
        known = {part.name for part in fields(cls)} - _BESIDE
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in stored.items() if name in known
        }
        values["digests"] = tuple((str(digest), int(until_us)) for digest, until_us in stored["digests"])
        values["scopes"] = _scopes(stored["scopes"])
        return cls(**{"shows_args": False, **values, "id": key_id, "used_day": used_day, "kept": text})

    def document(self) -> dict[str, Any]:
        """What is shown of a key. Nothing of it lets anybody in."""
        return {
            "id": self.id,
            "name": self.name,
            "preset": self.preset,
            "scopes": list(self.scopes),
            "tasks": list(self.tasks),
            "tenant": self.tenant,
            "rate": self.rate,
            "max_backlog": self.max_backlog,
            "sources": list(self.sources),
            "shows_args": self.shows_args,
            "created_at": _instant(self.created_us),
            "expires_at": _instant(self.expires_us),
            "rotated_at": _instant(self.rotated_us),
            "revoked_at": _instant(self.revoked_us),
            "reason": self.reason,
            "last_used": None if self.used_day is None else date.fromordinal(_FIRST_DAY + self.used_day).isoformat(),
        }


def _scopes(names: Iterable[str]) -> tuple[Scope, ...]:
    """Those that this version knows: a right that it does not know it cannot give either."""
    return tuple(Scope(name) for name in names if name in set(Scope))


def _instant(us: int | None) -> str | None:
    return None if us is None else datetime.fromtimestamp(us / MICROSECONDS, UTC).isoformat(timespec="seconds")
