"""The result of a simulation: how long it took, how long each tenant waited, and how near each limit came to its bound."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from runner.limits import Limit, Taken, most_at_once
from runner.simulation.work import Work


class Start(NamedTuple):
    """One row of the log of starts, from which everything is measured."""

    at_us: int
    work: Work


@dataclass(frozen=True, slots=True)
class TenantReport:
    """One tenant's jobs. Instants count from the beginning, waits from each job's submission; None if no job started.

    `failed` jobs found a spent quota whose jobs fail instead of waiting.
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

    `window_us` is None for a window without a fixed length: a calendar period, or for a concurrency one moment.
    `utilisation`: the part that was used of what its busiest bucket could have let through from the first submission to the
    last start. `least_cost`: the fewest tokens that a job took of it, 0 if one took none.
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
    """The whole course. `drain_us` is from the beginning to the end of the last job, `starts` are (µs from the beginning, tenant).

    Tenants with the most jobs come first.
    """

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
    """Measure a course from its log of starts alone, as if it came from real workers."""
    ends_us = [start.at_us + start.work.duration_us for start in starts]
    drain_us = max((*ends_us, *(work.submitted_us for work in failed), start_us)) - start_us
    busy_us = sum(start.work.duration_us for start in starts)
    return Drain(
        jobs=len(starts) + len(failed),
        failed=len(failed),
        drain_us=drain_us,
        slots=slots,
        most_running=most_at_once(Taken(start.at_us, end_us, 1) for start, end_us in zip(starts, ends_us, strict=True)),
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


def _limit_report(limit: Limit, starts: Sequence[Start]) -> LimitReport:
    buckets: dict[str, list[Taken]] = defaultdict(list)
    first_us: dict[str, int] = {}
    costs = set()
    for at_us, work in starts:
        need = next((need for need in work.needs if need.limit == limit.name), None)
        costs.add(need.cost if need else 0)
        if need:
            buckets[need.bucket].append(Taken(at_us, at_us + work.duration_us, need.cost))
            first_us[need.bucket] = min(first_us.get(need.bucket, work.submitted_us), work.submitted_us)
    usages = [limit.usage(taken, first_us[name]) for name, taken in buckets.items()]
    return LimitReport(
        limit=limit,
        buckets=len(buckets),
        window_us=limit.window_us,
        worst=max((usage.worst for usage in usages), default=0),
        bound=limit.most,
        utilisation=max((usage.utilisation for usage in usages), default=0.0),
        least_cost=min(costs, default=0),
    )
