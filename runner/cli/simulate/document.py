"""A course as one JSON object, in seconds."""

from collections.abc import Mapping, Sequence
from typing import Any

from runner.cli.simulate.chart import chart_of
from runner.clock import seconds_or_none
from runner.jobs import BudgetPace
from runner.limits import QueuePace
from runner.simulation import Drain, LimitReport, TenantReport

_MOST_BARS = 60


def document(drain: Drain, budgets: Sequence[BudgetPace] = (), shares: Mapping[str, QueuePace | None] | None = None) -> dict[str, Any]:
    chart = chart_of(drain, _MOST_BARS)
    return {
        "jobs": drain.jobs,
        "failed": drain.failed,
        "drain_s": seconds_or_none(drain.drain_us),
        "slots": {"slots": drain.slots, "most_running": drain.most_running, "utilisation": round(drain.slot_utilisation, 4)},
        "tenants": [_tenant(report) for report in drain.tenants],
        "limits": [_limit(report) for report in drain.limits],
        **({"budgets": [pace.document() for pace in budgets]} if budgets else {}),
        **({"shared": {name: share and share.document() for name, share in shares.items()}} if shares else {}),
        "starts": {"every_s": seconds_or_none(chart.width_us), "counts": [sum(bar.values()) for bar in chart.bars], "bound": chart.bound},
    }


def _tenant(report: TenantReport) -> dict[str, Any]:
    return {
        "tenant": report.tenant,
        "jobs": report.jobs,
        "failed": report.failed,
        "first_start_s": seconds_or_none(report.first_start_us),
        "last_start_s": seconds_or_none(report.last_start_us),
        "wait_p50_s": seconds_or_none(report.wait_p50_us),
        "wait_p95_s": seconds_or_none(report.wait_p95_us),
        "wait_max_s": seconds_or_none(report.wait_max_us),
    }


def _limit(report: LimitReport) -> dict[str, Any]:
    return {
        "limit": report.limit.name,
        "kind": report.limit.kind,
        "buckets": report.buckets,
        "window_s": seconds_or_none(report.window_us),
        "worst": report.worst,
        "bound": report.bound,
        "utilisation": round(report.utilisation, 4),
    }
