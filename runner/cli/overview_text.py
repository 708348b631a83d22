"""The overview in the words, signs and columns that people read on a terminal. Pure functions: no I/O."""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime

from runner.jobs import span
from runner.limits import LimitState
from runner.store import LimitOverview, Overview

SIGNS = {
    LimitState.idle: "○",
    LimitState.flowing: "»",
    LimitState.at_limit: "▐",
    LimitState.slots_full: "■",
    LimitState.spent: "▁",
    LimitState.waiting_elsewhere: "◌",
    LimitState.frozen: "❄",
    LimitState.paused: "‖",
    LimitState.no_worker: "△",
}
"""Beside the word, never in its place."""
_SHUT = {LimitState.paused, LimitState.frozen, LimitState.no_worker}
_TOKENS_WIDE, _LINE_WIDE, _CELLS_A_TENFOLD = 6, 12, 2
HEAD = ("LIMIT", "ALLOWS", "TOKENS", "TOKENS|LINE", "WAITING", "OLDEST", "CLEARS IN", "STARTS/S", "STATE", "SET BY")


def sentence(overview: Overview) -> str:
    """What waits, until when, and what stands still, in one or two sentences."""
    waiting = [limit for limit in overview.limits if limit.waiting]
    if overview.jobs is None:
        return f"{_number(len(waiting), 'limit')} with a line."
    total = overview.jobs["waiting"]
    if total == 0:
        return f"No job waits, and {_number(overview.jobs['running'], 'job')} {'runs' if overview.jobs['running'] == 1 else 'run'}."
    text = f"{_number(total, 'job')} {'waits' if total == 1 else 'wait'}"
    text += f" at {_number(len(waiting), 'limit')}." if waiting else "."
    times = [limit.clears_in_s for limit in waiting if limit.state not in _SHUT and limit.clears_in_s is not None]
    if times:
        text += f" The lines that move are clear in {span(max(times))}."
    shut = [limit.name for limit in waiting if limit.state is LimitState.paused]
    if shut:
        text += f" {' and '.join(shut[:3])}{' and others' if len(shut) > 3 else ''} {'stays' if len(shut) == 1 else 'stay'} shut until somebody resumes it."
    return text


def figures(overview: Overview) -> str:
    """The six figures of the queue; what the caller may not see is left out."""
    told = []
    if overview.jobs is not None:
        reasons = [f"{reason.replace('_', ' ')} {number:,}" for reason, number in (overview.reasons or {}).items() if number]
        told.append(f"waiting {overview.jobs['waiting']:,}" + (f" ({', '.join(reasons)})" if reasons else ""))
    oldest_s = overview.oldest_wait_s
    if oldest_s is not None:
        told.append(f"oldest wait {span(oldest_s)}" + (", slow" if oldest_s >= overview.slow_after_s else ""))
    if overview.slots is not None:
        stuck = f", {overview.slots.stuck} stuck" if overview.slots.stuck else ""
        told.append(f"running {overview.slots.busy} of {overview.slots.total} slots{stuck}")
    told.append(f"starts {overview.started_s:.1f}/s")
    told += [f"finished {overview.finished_min:,}/min"] if overview.finished_min is not None else []
    told += [f"failed {overview.failed_min:,}/min"] if overview.failed_min is not None else []
    return "   ".join(told)


def pulse(overview: Overview) -> str:
    """Who works, who leads, and at what instant that was so."""
    told = [overview.queue, f"{overview.at:%H:%M:%S}Z"]
    if overview.workers is not None:
        told.append(_number(overview.workers, "worker"))
    if overview.leader is not None:
        age = overview.leader.refill_age_s
        seen = "" if age is None else f", refilled {span(age)} ago"
        told.append(f"leader {overview.leader.worker}{seen}" if overview.leader.worker else f"no leader: workers stand in{seen}")
    if overview.paused is not None:
        told.append(f"THE QUEUE IS PAUSED by {overview.paused.by or 'somebody'}: {overview.paused.reason or 'no reason given'}")
    return "   ".join(told)


def row(limit: LimitOverview) -> tuple[str, ...]:
    """A limit in the columns of `HEAD`."""
    about = "about " if limit.waiting_is_estimate else ""
    left, policy = limit.tokens, limit.policy
    tokens = "" if left is None else policy.left_words(left) if policy.unit else f"{left:,} of {policy.capacity:,}"
    return (
        limit.name,
        limit.policy.words,
        tokens,
        balance(limit),
        f"{about}{limit.waiting:,}",
        "" if limit.oldest_wait_s is None else span(limit.oldest_wait_s),
        clears_in(limit),
        f"{limit.started_s:.1f}",
        state(limit),
        set_by(limit),
    )


def balance(limit: LimitOverview) -> str:
    """Tokens in stock from the gate to the left, the line from it to the right: two cells for each tenfold. A line that is shut is hatched."""
    part = 0.0 if limit.tokens is None else min(limit.tokens / max(limit.policy.capacity, 1), 1.0)
    left = "█" * math.ceil(part * _TOKENS_WIDE - 1e-9)
    gate = {LimitState.frozen: "❄", LimitState.paused: "‖"}.get(limit.state, "│")
    cells = math.ceil(math.log10(limit.waiting + 1) * _CELLS_A_TENFOLD) if limit.waiting else 0
    right = ("▒" if limit.state in _SHUT else "█") * min(cells, _LINE_WIDE)
    return f"{left:>{_TOKENS_WIDE}}{gate}{right:<{_LINE_WIDE}}"


def clears_in(limit: LimitOverview) -> str:
    """When the longest of its lines is clear: never 0 for what stands still."""
    if not limit.waiting:
        return ""
    if limit.state is LimitState.paused:
        return "paused"
    return "unknown" if limit.clears_in_s is None else span(limit.clears_in_s)


def state(limit: LimitOverview) -> str:
    """Sign and word, and what more the state says."""
    text = f"{SIGNS[limit.state]} {limit.state.words}"
    if limit.state is LimitState.frozen:
        return f"{text} for {span(limit.frozen_s)}"
    if limit.state is LimitState.spent and limit.next_token_s is not None:
        return f"{text}, next period in {span(limit.next_token_s)}"
    if limit.code.key is not None and limit.buckets.waiting:
        return f"{text} in {limit.buckets.waiting:,}"
    return text


def set_by(limit: LimitOverview) -> str:
    """Who has paused it, frozen it, or put other numbers in force."""
    told = []
    if limit.paused is not None:
        told.append(f"{limit.paused.by or 'somebody'}: {limit.paused.reason or 'no reason given'}")
    if limit.frozen_by:
        told.append(limit.frozen_by)
    if limit.override is not None:
        told.append(f"{limit.override.by or 'somebody'} until {_until(limit.override.until)}: {limit.override.reason or 'no reason given'}")
    return "; ".join(told)


def lines_of(overview: Overview, most: int | None = None) -> Iterator[Sequence[str]]:
    """The rows of the table, its head first, as many as fit."""
    yield HEAD
    for limit in overview.limits[:most]:
        yield row(limit)


def not_shown(overview: Overview, shown: int) -> str:
    """How many limits are not in the table; empty if all are."""
    more = len(overview.limits) - shown + overview.more
    return f"and {_number(more, 'limit')} more" if more > 0 else ""


def _until(instant: datetime | None) -> str:
    return "restored" if instant is None else f"{instant:%H:%M:%S}Z"


def _number(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
