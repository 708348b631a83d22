"""What outlook.lua reads of buckets and the lines there, parsed into views. Pure functions over bytes."""

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from runner.limits import KINDS, Limit, StoredBucket, at_present, decode_needs, limit_of, stored_pace
from runner.outlook import BucketView, LineView, SeveralView, Wait, cost_of_code, sampled, sampled_classes, with_lengths
from runner.store.text import decoded

MOST_ASKED = 100
"""Lines of one bucket that a question asks about."""

Question = list[str | int]


def questions(waits: Iterable[Wait]) -> list[Question]:
    """What to ask: each bucket that is needed, with the lines that these jobs wait in."""
    lines: dict[str, dict[str, None]] = {}
    for wait in waits:
        for need in wait.needs:
            lines.setdefault(need.bucket, {})[wait.line] = None
    return [
        [bucket, len(asked[at : at + MOST_ASKED]), *asked[at : at + MOST_ASKED]]
        for bucket, asked in ((bucket, list(names)) for bucket, names in lines.items())
        for at in range(0, len(asked), MOST_ASKED)
    ]


def bare_questions(buckets: Iterable[str]) -> list[Question]:
    """About buckets alone."""
    return [[bucket, 0] for bucket in buckets]


def length_questions(views: Iterable[BucketView]) -> list[Question]:
    """About the lengths of many more lines, where only a sample of a class was read."""
    return [[view.name, -priority_class] for view in views for priority_class in sampled_classes(view)]


def add_lengths(reply: list[Any], known: dict[str, BucketView]) -> int:
    """Add the lines whose lengths were read to the buckets that are known. Returns how many of the questions were answered."""
    _, _, *rows = reply
    for name, lines in rows:
        view = known[decoded(name)]
        known[view.name] = with_lengths(view, [_line(row) for row in lines])
    return len(rows)


def views(reply: list[Any], known: dict[str, BucketView]) -> int:
    """Add what was read to what is known. Returns how many of the questions were answered."""
    now_us, entries, *rows = reply
    limits = {decoded(name): _policy(text, bool(overridden)) for name, text, overridden in entries if text}
    for name, reason, *state in rows:
        bucket = decoded(name)
        view = _view(bucket, decoded(reason), limits.get(bucket.partition("/")[0]), int(now_us), state)
        if bucket in known:
            known[bucket].asked.update(view.asked)
        else:
            known[bucket] = view
    return len(rows)


class _Policy(NamedTuple):
    """The limit in force, until when if that is known, and the one after it."""

    limit: Limit
    until_us: int | None = None
    following: Limit | None = None


@lru_cache(maxsize=256)
def _policy(text: bytes, overridden: bool) -> "_Policy":
    entry = json.loads(text)
    if not overridden:
        return _Policy(limit_of(entry["code"]))
    until_us, code = entry["override"].get("until_us"), entry.get("code")
    ends = until_us is not None and bool(code)
    return _Policy(limit_of(entry["override"]), int(until_us) if ends else None, limit_of(code) if ends else None)


def _view(bucket: str, reason: str, policy: _Policy | None, now_us: int, state: list[Any]) -> BucketView:
    if not state:
        return BucketView(bucket, reason, None, StoredBucket({}), now_us, now_us)
    numbers, rows, reserved, from_us, turns, counts, nearest, lines, asked, plans, several = state
    wake_us, clocks, aside, aside_until_us = plans
    stored = StoredBucket(
        {decoded(name): int(number) for name, number in zip(numbers[::2], numbers[1::2], strict=True)},
        [(int(at), int(cost)) for at, cost in zip(rows[::2], rows[1::2], strict=True)],
    )
    near = [_line(row) for row in lines]
    own = {decoded(row[0]): _line(row) for row in asked if len(row) > 1}
    own |= {line.name: line for line in near if [line.name.encode()] in asked}
    limit = policy.limit if policy else None
    pace = stored_pace(stored.numbers) if "thousand_us" in stored.numbers else None
    if limit is not None and pace is not None:
        limit, stored = at_present(limit, stored.numbers, now_us) or (None, stored)
    timeless = reason == "paused" or limit is None or limit.kind not in KINDS
    return BucketView(
        bucket,
        reason,
        None if timeless else limit,
        stored,
        now_us,
        int(from_us),
        int(reserved),
        turns,
        sampled(near, counts, nearest),
        own,
        is_whole=len(near) == sum(counts),
        wake_us=None if int(wake_us) < 0 else int(wake_us),
        clocks=tuple(map(int, clocks.split())),
        aside=int(aside),
        aside_until_us=int(aside_until_us),
        several=[_several(row) for row in several],
        override_ends_us=policy.until_us if policy else None,
        following=policy.following if policy else None,
        pace=pace,
    )


def _several(row: Sequence[Any]) -> SeveralView:
    name, length, record, limits, look_us = row
    numbers = tuple(map(int, record.split()))
    return SeveralView(decoded(name), length, numbers, decode_needs(decoded(limits)), None if int(look_us) < 0 else int(look_us))


def _line(row: Sequence[Any]) -> LineView:
    name, score, length, *codes = row
    return LineView.of(decoded(name), int(score), length, [cost_of_code(code) for code in codes])
