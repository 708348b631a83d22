"""What came of a simulation: how long it took, what each tenant waited, and how near each limit came to its bound."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from runner.clock import MICROSECONDS
from runner.limits import Concurrency, Limit, Quota, SlidingWindow, TokenBucket, period_of
from runner.simulation.lines import Work


class Start(NamedTuple):
    """One row of the log that all is measured from."""

    at_us: int
    work: Work


@dataclass(frozen=True, slots=True)
class TenantReport:
    """One tenant's jobs. Instants count from the beginning, waits from each job's submission; None where nothing started.

    `failed` found a quota spent that fails rather than waits.
    """

    tenant: str
    jobs: int
    failed: int
    first_start_us: int | None
    last_start_us: int | None
    wait_p50_us: int | None
    wait_p95_us: int | None
    wait_max_us: int | None


@dataclass(frozen=True, slots=True)
class LimitReport:
    """One limit: the most tokens taken of one of its buckets in any window of its own length, next to what it allows.

    `window_us` is None where the window is no length: a quota's is the calendar period, a concurrency's the moment.
    `utilisation`: of what its busiest bucket could have let through from the first submission to the last start, the part
    that was used. `least_cost`: the fewest tokens that a job took of it, 0 if one took none.
    """

    limit: Limit
    buckets: int
    window_us: int | None
    worst: int
    bound: int
    utilisation: float
    least_cost: int


@dataclass(frozen=True, slots=True)
class Drain:
    """The whole course, tenants with the most jobs first. `drain_us` is from the beginning to the end of the last job; `starts` are (µs from the beginning, tenant)."""

    jobs: int
    failed: int
    drain_us: int
    slots: int
    most_running: int
    slot_utilisation: float
    tenants: tuple[TenantReport, ...]
    limits: tuple[LimitReport, ...]
    starts: tuple[tuple[int, str], ...]


def drain_of(limits: Sequence[Limit], starts: Sequence[Start], failed: Sequence[Work], *, slots: int, start_us: int) -> Drain:
    """Measure a course from its log of starts alone, as one would measure the real thing."""
    ends_us = [start.at_us + start.work.duration_us for start in starts]
    drain_us = max((*ends_us, *(work.submitted_us for work in failed), start_us)) - start_us
    busy_us = sum(start.work.duration_us for start in starts)
    return Drain(
        jobs=len(starts) + len(failed),
        failed=len(failed),
        drain_us=drain_us,
        slots=slots,
        most_running=_most_at_once([(start.at_us, end_us, 1) for start, end_us in zip(starts, ends_us, strict=True)]),
        slot_utilisation=busy_us / (drain_us * slots) if drain_us else 0.0,
        tenants=_tenants(starts, failed, start_us),
        limits=tuple(_limit_report(limit, starts) for limit in limits),
        starts=tuple((start.at_us - start_us, start.work.tenant) for start in starts),
    )


def _tenants(starts: Sequence[Start], failed: Sequence[Work], start_us: int) -> tuple[TenantReport, ...]:
    own: dict[str, list[Start]] = defaultdict(list)
    for start in starts:
        own[start.work.tenant].append(start)
    failures = Counter(work.tenant for work in failed)
    sizes = {tenant: len(own[tenant]) + failures[tenant] for tenant in own.keys() | failures.keys()}
    reports = []
    for tenant in sorted(sizes, key=lambda tenant: (-sizes[tenant], tenant)):
        began = own[tenant]
        waits = sorted(start.at_us - start.work.submitted_us for start in began)
        reports.append(
            TenantReport(
                tenant=tenant,
                jobs=sizes[tenant],
                failed=failures[tenant],
                first_start_us=began[0].at_us - start_us if began else None,
                last_start_us=began[-1].at_us - start_us if began else None,
                wait_p50_us=_percentile(waits, 0.50),
                wait_p95_us=_percentile(waits, 0.95),
                wait_max_us=_percentile(waits, 1.0),
            )
        )
    return tuple(reports)


def _percentile(ordered: Sequence[int], part: float) -> int | None:
    """By nearest rank: a value that occurred."""
    return ordered[math.ceil(part * len(ordered)) - 1] if ordered else None


class _Taken(NamedTuple):
    """Tokens of one bucket, taken at an instant, held until another."""

    at_us: int
    end_us: int
    cost: int


def _limit_report(limit: Limit, starts: Sequence[Start]) -> LimitReport:
    buckets: dict[str, list[_Taken]] = defaultdict(list)
    first_us: dict[str, int] = {}
    costs = set()
    for at_us, work in starts:
        need = next((need for need in work.needs if need.bucket.partition("/")[0] == limit.name), None)
        costs.add(need.cost if need else 0)
        if need:
            buckets[need.bucket].append(_Taken(at_us, at_us + work.duration_us, need.cost))
            first_us[need.bucket] = min(first_us.get(need.bucket, work.submitted_us), work.submitted_us)
    measured = [_measure(limit, taken, first_us[name]) for name, taken in buckets.items()]
    window_us = _window_us(limit)
    return LimitReport(
        limit=limit,
        buckets=len(buckets),
        window_us=window_us,
        worst=max((worst for worst, _ in measured), default=0),
        bound=limit.capacity if window_us is None else limit.bound(window_us / MICROSECONDS),
        utilisation=max((used for _, used in measured), default=0.0),
        least_cost=min(costs, default=0),
    )


def _window_us(limit: Limit) -> int | None:
    match limit:
        case TokenBucket():
            return limit.every_us
        case SlidingWindow():
            return limit.window_us
        case _:
            return None


def _measure(limit: Limit, taken: Sequence[_Taken], first_us: int) -> tuple[int, float]:
    """(worst window, utilisation) of one bucket whose first job was submitted at `first_us`."""
    last_us, total = taken[-1].at_us, sum(row.cost for row in taken)
    match limit:
        case TokenBucket() | SlidingWindow():
            return _worst_window(taken, _window_us(limit) or 0), total / limit.bound((last_us - first_us) / MICROSECONDS)
        case Quota():
            periods: Counter[tuple[int, int]] = Counter()
            for row in taken:
                periods[period_of(limit.per, limit.tz, row.at_us)] += row.cost
            return max(periods.values()), total / (limit.capacity * _periods_touched(limit, first_us, last_us))
        case Concurrency():
            end_us = max(row.end_us for row in taken)
            held = sum(row.cost * (row.end_us - row.at_us) for row in taken)
            return _most_at_once(taken), held / (limit.capacity * max(end_us - first_us, 1))
        case _:
            message = f"limit {limit.name!r} is of kind {limit.kind!r}, which the simulation does not know"
            raise TypeError(message)


def _periods_touched(limit: Quota, from_us: int, to_us: int) -> int:
    count, (_, end_us) = 1, period_of(limit.per, limit.tz, from_us)
    while end_us <= to_us:
        count, (_, end_us) = count + 1, period_of(limit.per, limit.tz, end_us)
    return count


def _worst_window(taken: Sequence[_Taken], window_us: int) -> int:
    """Most tokens in any closed window of this length: one that begins with a start is among the worst."""
    instants = [row.at_us for row in taken]
    worst = tokens = 0
    first = 0
    for row in taken:
        tokens += row.cost
        while instants[first] < row.at_us - window_us:
            tokens -= taken[first].cost
            first += 1
        worst = max(worst, tokens)
    return worst


def _most_at_once(taken: Iterable[tuple[int, int, int]]) -> int:
    """Most that was held at the same time; what ends at an instant is free at that instant, for the next in the log too."""
    changes: list[tuple[int, bool, int, int]] = []
    for place, (at_us, end_us, cost) in enumerate(taken):
        changes += [(at_us, True, 2 * place, cost), (end_us, end_us == at_us, 2 * place + 1, -cost)]
    most = held = 0
    for *_, change in sorted(changes):
        held += change
        most = max(most, held)
    return most
