"""History: what happened by minute and hour, as the scripts count it and the leader moves it. One method per script."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from runner.store.portions import MOST_PER_CALL, portions
from runner.store.queue import QueueStore
from runner.store.scripts import Argument
from runner.store.text import decoded

_MOST_ROLLED = 2 * MOST_PER_CALL
"""Fields that one call moves."""
_MOST_ROLLS = 50
"""Calls by which a reader moves what no leader has."""
_MOST_LIMITS = 5 * MOST_PER_CALL
"""Limits whose lines one call counts; of more none is."""
_MOST_NAMES = 10 * MOST_PER_CALL
_CELL = re.compile(r"([a-z][0-9a-v]*)=(-?[0-9]+)")
_WHAT = re.compile(r"[a-z][0-9a-v]{0,2}")
_NUMBER = re.compile(rb"-?[0-9]{1,18}")
_MINUTE = re.compile(r"\n([0-9]+):([^\n]*)")
_IN_AN_HOUR = 60
_MINUTE_US = 60_000_000

Cells = Counter[str]
"""What was counted: letters with their sums, and behind a letter the cell of those whose times are known."""


class Rolled(NamedTuple):
    """What one call of `roll` has moved, whether there is more, and when the next minute is over."""

    moved: int
    more: bool
    next_us: int


class Kept(NamedTuple):
    """Rows of each series by the minute at which they begin; `missing`: minutes that are not in them."""

    now_us: int
    missing: int
    rows: dict[str, dict[int, Cells]]


class History(QueueStore):
    """What the leader does for the history, and what others read of it."""

    async def roll(self) -> Rolled:
        """Move a page of what was counted in minutes that are over to the series it belongs to."""
        moved, more, next_us = await self._run("roll", most=_MOST_ROLLED)
        return Rolled(int(moved), bool(more), int(next_us))

    async def sample(self) -> int:
        """Note how many jobs wait at each limit, unless somebody has in this minute: limits that have a line; -1 if there was nothing to note."""
        return int(await self._run("sample", most_limits=_MOST_LIMITS))

    async def history_now_us(self) -> int:
        """The present instant by the clock of the scripts."""
        return self._now_us() or await self._server_us()

    async def series(self, from_us: int = 0) -> list[str]:
        """The names of the series that have a row of that instant or later, in order of name."""
        names: list[str] = []
        while len(names) % _MOST_NAMES == 0:
            page = await self._run("series", since=from_us // _MINUTE_US, passed=len(names))
            names += map(decoded, page)
            if not page:
                break
        return sorted(names)

    async def history(self, names: Sequence[str], first_hour: int, last_hour: int, *, by_minute: bool) -> Kept:
        """The rows of some series in these hours since 1970; where no worker leads, what waits for one is moved first."""
        kept = await self._history(names, first_hour, last_hour, by_minute=by_minute)
        if kept.missing:
            for _ in range(_MOST_ROLLS):
                if not (await self.roll()).more:
                    break
            kept = await self._history(names, first_hour, last_hour, by_minute=by_minute)
        return kept

    async def _history(self, names: Sequence[str], first_hour: int, last_hour: int, *, by_minute: bool) -> Kept:
        rows: dict[str, dict[int, Cells]] = {name: {} for name in names}
        now_us = missing = 0
        for part in portions(list(rows)):
            places = [(name, hour) for name in part for hour in range(first_hour, last_hour + 1)]
            passed = 0
            while passed < len(places):
                hours: dict[str, Argument] = {"first": first_hour, "last": last_hour, "passed": passed}
                now, left, live, *texts = await self._run(
                    "history", part, force=False, is_large=True, kind="m" if by_minute else "h", **hours
                )
                now_us, missing = int(now), int(left)
                counted = {int(minute): fields for minute, fields in zip(live[::2], live[1::2], strict=True)}
                for (name, hour), text in zip(places[passed:], texts, strict=False):
                    _read(rows[name], hour, decoded(text), by_minute=by_minute)
                    for minute in range(hour * _IN_AN_HOUR, (hour + 1) * _IN_AN_HOUR):
                        if minute in counted:
                            at = minute if by_minute else hour * _IN_AN_HOUR
                            _add_counted(rows[name].setdefault(at, Cells()), name, counted[minute])
                passed += len(texts)
        return Kept(now_us, missing, {name: {at: cells for at, cells in of.items() if cells} for name, of in rows.items()})

    async def ended_in_a_day(self) -> tuple[dict[str, int], int]:
        """By outcome how many jobs ended in the last 24 hours, to the minute; and how many minutes are not counted in, none as a rule."""
        left, *pairs = await self._run("day")
        sums = {decoded(letter): int(number) for letter, number in zip(pairs[::2], pairs[1::2], strict=True)}
        return {state: sums.get(letter, 0) for state, letter in _STATES.items()}, int(left)


_STATES = {"succeeded": "s", "failed": "f", "cancelled": "c", "expired": "x"}


def _read(rows: dict[int, Cells], hour: int, text: str, *, by_minute: bool) -> None:
    at = hour * _IN_AN_HOUR
    found = _MINUTE.findall(text) if by_minute else [("0", text)]
    for minute, row in found:
        cells = Cells({what: int(number) for what, number in _CELL.findall(row)})
        rows.setdefault(at + int(minute), Cells()).update(cells)  # a sum of Counters would leave out what is below 0


def _add_counted(cells: Cells, name: str, fields: Sequence[bytes]) -> None:
    """What was counted in a minute that was not moved yet, of one series."""
    for field, number in zip(fields[::2], fields[1::2], strict=True):
        series, _, what = decoded(field).rpartition("|")
        if _WHAT.fullmatch(what) and _NUMBER.fullmatch(number) and (series == name or (name == "q" and series.startswith("t:"))):
            cells[what] += int(number)
            if len(what) > 1:
                cells[what[0]] += int(number)
