"""ToldOverviews: what streams tell of the overview: the whole, and after that what has changed. Made once for all who see the same of it."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from runner import Overview, Principal
from runner.http.event_frames import frame
from runner.http.overview_schemas import document_for

MOST_KEPT = 60
"""So many seconds back who comes again is told what has changed since."""
_NESTED = ("jobs", "reasons", "slots", "leader")

Document = dict[str, Any]


class _Told(NamedTuple):
    """One overview as JSON, as some callers see it."""

    number: str
    document: Document


class ToldOverviews:
    """The overviews of one service."""

    def __init__(self) -> None:
        self._latest: dict[tuple[Any, ...], _Told] = {}
        self._kept: dict[tuple[Any, ...], OrderedDict[str, bytes]] = {}
        self._changes: dict[tuple[Any, ...], tuple[str, str, bytes]] = {}

    def frames(self, overview: Overview, principal: Principal, told: str | None) -> tuple[str, bytes]:
        """The number of this overview, and the event that tells it to who knows the one of the number `told`: what differs, or the whole."""
        seen = (principal.scopes, bool(principal.tasks))
        now = self._told(overview, principal, seen)
        if told == now.number:
            return now.number, b""
        known = self._changes.get(seen)
        if told is not None and known is not None and known[:2] == (told, now.number):
            return now.number, known[2]
        before = None if told is None else self._kept[seen].get(told)
        if told is None or before is None:
            return now.number, frame("overview", now.document, now.number)
        change = frame("change", changes(from_json(before), now.document), now.number)
        self._changes[seen] = told, now.number, change
        return now.number, change

    def _told(self, overview: Overview, principal: Principal, seen: tuple[Any, ...]) -> _Told:
        number = str(round(overview.at.timestamp() * 1_000))
        latest = self._latest.get(seen)
        if latest is not None and latest.number == number:
            return latest
        latest = self._latest[seen] = _Told(number, document_for(overview, principal))
        kept = self._kept.setdefault(seen, OrderedDict())
        kept[number] = to_json(latest.document)
        while len(kept) > MOST_KEPT:
            kept.popitem(last=False)
        return latest


def changes(before: Mapping[str, Any], now: Document) -> Document:
    """What differs: of the parts that have parts the parts, of limits by name; null in the place of a limit that is not told any more."""
    told: Document = {"at": now["at"]}
    for name, value in now.items():
        if name in ("at", "limits") or before.get(name) == value:
            continue
        old = before.get(name)
        told[name] = _fields(old, value) if name in _NESTED and isinstance(old, Mapping) and isinstance(value, Mapping) else value
    limits = dict(_limits(before["limits"], now["limits"]))
    return {**told, "limits": limits} if limits else told


def _limits(before: list[Document], now: list[Document]) -> Iterator[tuple[str, Document | None]]:
    old = {limit["name"]: limit for limit in before}
    for limit in now:
        differs = _fields(old.pop(limit["name"], {}), limit)
        if differs:
            yield limit["name"], differs
    for name in old:
        yield name, None


def _fields(before: Mapping[str, Any], now: Mapping[str, Any]) -> Document:
    return {name: value for name, value in now.items() if name not in before or before[name] != value}
