"""The text of pages, by the library of Prometheus. Imported when the first page is made."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from runner.clock import monotonic_s
from runner.telemetry import table
from runner.telemetry.figures import Figures, LimitFigures
from runner.telemetry.labels import MOST_LABELS, OTHER, Labels
from runner.telemetry.page import Page, QueuePage, WorkerPage
from runner.telemetry.shared_counts import SharedCounts
from runner.telemetry.spans_of_time import Histogram
from runner.telemetry.table import Kind, Metric
from runner.telemetry.worker_counts import WorkerCounts

Values = Mapping[Any, Any]
"""By the values of a metric's own labels, a tuple."""


def written(pages: Iterable[Page]) -> tuple[bytes, str]:
    """These pages as one text, and its type."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families([family for page in pages for family in _families(page)]))
    return generate_latest(registry), CONTENT_TYPE_LATEST


class _Families:
    """What the library asks for families."""

    def __init__(self, families: list[Any]) -> None:
        self._families = families

    def collect(self) -> Iterator[Any]:
        yield from self._families


def _families(page: Page) -> list[Any]:
    values = of_worker(page) if isinstance(page, WorkerPage) else of_queue(page)
    return [_family(metric, page.queue, found) for metric, found in values]


def _family(metric: Metric, queue: str, values: Values) -> Any:
    names = ("queue", *metric.labels)
    if metric.kind is Kind.histogram:
        spans = HistogramMetricFamily(metric.name, metric.help, labels=names)
        for labels, one in values.items():
            spans.add_metric((queue, *labels), buckets=one.buckets, sum_value=one.sum_s)
        return spans
    family: Any = (CounterMetricFamily if metric.kind is Kind.counter else GaugeMetricFamily)(metric.name, metric.help, labels=names)
    for labels, number in values.items():
        family.add_metric((queue, *labels), float(number))
    return family


def of_worker(page: WorkerPage) -> list[tuple[Metric, Values]]:
    """Every metric of a worker with its values."""
    gauges, counts = page.gauges, page.counts
    calls = _calls(counts)
    return [
        (table.READY, _one(gauges.is_ready)),
        (table.LEADS, _one(gauges.leads)),
        (table.SLOTS, _one(gauges.slots)),
        (table.SLOTS_IN_USE, _one(gauges.in_use)),
        (table.SLOTS_STUCK, _one(gauges.stuck)),
        (table.UNDELIVERED, _one(gauges.undelivered)),
        (table.STALLS, _one(gauges.stalls)),
        (table.DEFECTS, _one(gauges.defects)),
        (table.RENEWALS, _by_name(counts.renewals)),
        (table.ATTEMPTS, dict(counts.attempts)),
        (table.ERRORS, _by_name(counts.errors)),
        (table.WAIT, _by_name(counts.waits)),
        (table.RUN, _by_name(counts.runs)),
        (table.TOKEN_TO_START, _by_name(counts.token_to_start)),
        (table.RELEASE_DELAY, _one(counts.release_delay)),
        (table.STARTS, _by_name(counts.starts)),
        (table.THROTTLED, _by_name(counts.throttled)),
        (table.WARNINGS, _by_name(counts.warnings)),
        *_of_shared(counts.shared),
        (table.CALLS, {(name,): number for name, (number, _) in calls.items()}),
        (table.CALL_SECONDS, {(name,): seconds for name, (_, seconds) in calls.items()}),
        (table.CALL_ERRORS, _by_name(counts.on_loop.errors + counts.beside.errors)),
    ]


def of_queue(page: QueuePage) -> list[tuple[Metric, Values]]:
    """Every metric of a queue with its values."""
    figures = page.figures
    if figures is None:
        return [(table.QUEUE_READ, _one(0))]
    pools = Labels(pool.name for pool in figures.pools)
    return [
        (table.QUEUE_READ, _one(1)),
        (table.JOBS, figures.jobs),
        (table.OLDEST_WAIT, _known(figures.oldest_wait_s)),
        (table.WORKERS, _one(figures.workers)),
        (table.QUEUE_SLOTS, _one(figures.slots)),
        (table.STUCK, _one(figures.stuck_slots)),
        (table.LEADER, _one(figures.has_leader)),
        (
            table.POOL_JOBS,
            {
                (pools.of(pool.name), state): number
                for pool in figures.pools
                for state, number in (("ready", pool.ready), ("running", pool.running), ("waiting", pool.waiting))
            },
        ),
        (table.POOL_READERS, {(pools.of(pool.name),): pool.readers for pool in figures.pools}),
        *_of_limits(figures),
        *_of_homes(figures),
        (table.MEMORY, _known(figures.memory_bytes)),
        (table.MEMORY_MAX, _known(figures.memory_max_bytes)),
    ]


def _of_limits(figures: Figures) -> list[tuple[Metric, Values]]:
    """By limit; of more limits than are told by name those at which fewest wait are told together, and only what can be added up."""
    ordered = sorted(figures.limits, key=lambda limit: (-limit.waiting, limit.name))
    named, others = ordered[:MOST_LABELS], ordered[MOST_LABELS:]

    def each(value: Callable[[LimitFigures], float]) -> Values:
        return {(limit.name,): value(limit) for limit in named}

    def sums(value: Callable[[LimitFigures], float]) -> Values:
        return {**each(value), **({(OTHER,): sum(map(value, others))} if others else {})}

    available = {(limit.name,): limit.available for limit in named if limit.available is not None}
    counts = [(limit.name, limit.provider) for limit in named if limit.provider is not None]
    return [
        (table.CAPACITY, each(lambda limit: limit.capacity)),
        (table.AVAILABLE, available),
        (table.WAITING, sums(lambda limit: limit.waiting)),
        (table.WAITING_BUCKETS, sums(lambda limit: limit.waiting_buckets)),
        (table.FROZEN, each(lambda limit: limit.frozen_s)),
        (table.PAUSED, each(lambda limit: limit.is_paused)),
        (table.OVERRIDDEN, each(lambda limit: limit.is_overridden)),
        (table.PROVIDER_LEFT, {(name,): told.left for name, told in counts}),
        (table.PROVIDER_HAD, {(name,): told.had for name, told in counts}),
        (table.LOWERED, {(name,): told.lowered for name, told in counts}),
    ]


def _of_shared(counts: SharedCounts) -> list[tuple[Metric, Values]]:
    """Of limits that several queues share, by a worker that leads."""
    homes, now_s = dict(counts.homes), monotonic_s()
    hands = {name: hand for home in homes.values() for name, hand in home.hands.items()}
    used = sum((home.used for home in homes.values()), Counter[str]())
    return [
        (table.IN_HAND, {(name,): hand.held for name, hand in hands.items()}),
        (table.WANTED, {(name,): hand.wanted for name, hand in hands.items()}),
        (table.USED, _by_name({name: used[name] for home in homes.values() for name in home.used})),
        (table.HEARD, {(name,): now_s - at_s for home in homes.values() for name, at_s in home.heard_s.items()}),
        (table.HOME_CALLS, {(scope,): home.calls for scope, home in homes.items()}),
        (table.HOME_ERRORS, {(scope,): home.errors for scope, home in homes.items()}),
        (table.HOME_AWAY, {(scope,): home.away_s() for scope, home in homes.items()}),
    ]


def _of_homes(figures: Figures) -> list[tuple[Metric, Values]]:
    """The same limits, as their homes tell of all queues."""
    return [
        (table.OUT, {(one.limit,): one.out for one in figures.homes}),
        (table.FREE, {(one.limit,): one.free for one in figures.homes}),
        (table.SHARERS, {(one.limit,): one.queues for one in figures.homes}),
    ]


def _calls(counts: WorkerCounts) -> dict[str, tuple[int, float]]:
    """How often Redis was called by each name, and for how long. A copy: another thread counts meanwhile."""
    found: dict[str, tuple[int, float]] = {}
    for part in (counts.on_loop, counts.beside):
        for name, calls in list(part.calls.items()):
            number, seconds = found.get(name, (0, 0.0))
            found[name] = number + calls.number, seconds + calls.seconds
    return found


def _one(value: float | Histogram) -> Values:
    return {(): value}


def _known(value: float | None) -> Values:
    return {} if value is None else {(): value}


def _by_name(values: Mapping[str, Any]) -> Values:
    return {(name,): value for name, value in list(values.items())}
