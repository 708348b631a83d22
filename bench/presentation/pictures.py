"""Which results are drawn, and how they are called: what the runner does, that its costs stay flat, and how its peers do."""

from collections.abc import Iterable, Mapping

from bench.peers.catalogue import OURS as RUNNER
from bench.presentation.panels import OTHER, OURS, Bar, Panel, picture
from bench.results import Document, Results

_SPREAD = "bars: medians; lines: from the least to the most"


def pictures(results: Results) -> dict[str, str]:
    """SVG by file name; a picture whose results are not kept is left out."""
    drawn = {}
    for name, title, panels in (
        ("bench-speed.svg", "What one worker process, one producer and one service do", _speed(results)),
        ("bench-flat.svg", "What it costs as the work grows", _flat(results)),
        ("bench-peers.svg", "The same work by other runners for Python", _peers(results)),
    ):
        shown = [panel for panel in panels if panel.bars]
        if shown:
            drawn[name] = picture(title, f"{_place(results, name)}; {_SPREAD}", shown)
    return drawn


def _speed(results: Results) -> list[Panel]:
    drain = {"async": "coroutines", "sync": "plain functions", "payload-1k": "1 KB of argument", "slots-10": "10 slots"}
    enqueue = {"bulk": "500 a call", "bulk-limit": "with a limit", "concurrent": "100 at once", "single": "one by one"}
    return [
        Panel("Jobs finished", "a second, 100 slots", _bars(results, "drain", "jobs_per_s", drain | {"slots-500": "500 slots"})),
        Panel("Jobs submitted", "a second", _bars(results, "enqueue", "jobs_per_s", enqueue) + _requests(results)),
        Panel("From submit to handler", "ms", _latencies(results)),
        Panel("Share of what the server can do at most", "percent", _bars(results, "floor", "share_percent", _FLOOR), full=100),
    ]


_FLOOR = {"drain": "finishing jobs", "submit": "submitting in bulk", "post": "POST /v1/jobs", "batch": "POST of 500 jobs"}


def _requests(results: Results) -> list[Bar]:
    return _bars(results, "http", "jobs_per_s", {"batch": "HTTP, 500 a call"}) + _bars(
        results, "http", "requests_per_s", {"post": "HTTP, one by one"}
    )


def _latencies(results: Results) -> list[Bar]:
    bars = []
    for case, name in {"idle": "idle", "half-load": "at half load"}.items():
        bars += _bars(results, "latency", "p50_ms", {case: f"{name}, p50"})
        bars += _bars(results, "latency", "p99_ms", {case: f"{name}, p99"})
    return bars


def _flat(results: Results) -> list[Panel]:
    waiting = {"waiting-1k": "1,000 waiting", "waiting-20k": "20,000 waiting", "waiting-1m": "1,000,000 waiting"}
    limits = {"none": "no limit", "one": "one limit", "two": "two limits", "three": "three limits"}
    keys = {"keys-1": "1 key", "keys-100": "100 keys", "keys-10000": "10,000 keys"}
    workers = {"workers-1": "1 worker", "workers-2": "2 workers", "workers-4": "4 workers", "workers-8": "8 workers"}
    return [
        Panel("Redis commands for a start behind a rate", "by backlog", _bars(results, "throttle", "redis_commands_per_start", waiting)),
        Panel("Token to handler, p99", "ms, by backlog", _bars(results, "throttle", "token_to_handler_p99_ms", waiting)),
        Panel("Redis CPU for a job, by limits", "µs", _bars(results, "multi-limit", "redis_cpu_us_per_job", limits)),
        Panel("Redis CPU for a job, by keys of a limit", "µs", _bars(results, "multi-limit", "redis_cpu_us_per_job", keys)),
        Panel("Redis CPU for a job, by worker processes", "µs", _bars(results, "scale", "redis_cpu_us_per_job", workers)),
        Panel("Memory of a worker process", "MB, as jobs pass through", _memory(results)),
    ]


def _memory(results: Results) -> list[Bar]:
    figures = {"worker_mb_at_start": "at its start", "worker_mb_after_first": "after 20,000", "worker_mb_after_all": "after 200,000"}
    return [bar for figure, name in figures.items() for bar in _bars(results, "memory", figure, {"worker": name})]


def _peers(results: Results) -> list[Panel]:
    names = {name: name for name in results.get("peers", {"cases": {}})["cases"]}
    panels = [
        ("Jobs finished", "a second, one worker process", "drain_jobs_per_s"),
        ("Jobs submitted in bulk", "a second", "bulk_jobs_per_s"),
        ("Jobs submitted one by one", "a second", "single_jobs_per_s"),
        ("Jobs submitted from 100 coroutines", "a second", "concurrent_jobs_per_s"),
        ("Submit to handler, idle, p50", "ms: less is better", "latency_p50_ms"),
        ("Redis commands for a job", "less is better", "redis_commands_per_job"),
        ("Redis commands for a start behind a rate", "less is better", "throttle_redis_commands_per_start"),
        ("CPU of the worker behind a rate", "s in 8 s: less is better", "throttle_worker_cpu_s"),
    ]
    drawn = []
    for title, note, figure in panels:
        less = "less" in note
        bars = sorted(_bars(results, "peers", figure, names), key=lambda bar: bar.value if less else -bar.value)
        drawn.append(Panel(title, note, [_beside(bar) for bar in bars]))
    return drawn


def _beside(bar: Bar) -> Bar:
    """In the paint of the runner, or of those it is compared with."""
    return Bar(bar.name, bar.value, bar.least, bar.most, OURS if bar.name.startswith(RUNNER.name) else OTHER)


def _bars(results: Results, scenario: str, figure: str, names: Mapping[str, str]) -> list[Bar]:
    """A bar for each of these cases that has the figure."""
    cases = results[scenario]["cases"] if scenario in results else {}
    found = ((name, cases[case]["figures"].get(figure)) for case, name in names.items() if case in cases)
    return [Bar(name, row["median"], row["min"], row["max"]) for name, row in found if row]


def _place(results: Results, name: str) -> str:
    """Where and when it was measured."""
    used: Iterable[Document] = [results["peers"]] if name == "bench-peers.svg" else [one for key, one in results.items() if key != "peers"]
    environments = [document["environment"] for document in used]
    days = sorted({document["at"][:10] for document in used})
    commits = list(dict.fromkeys(environment["commit"] for environment in environments))
    first = environments[0]
    return f"{first['cpus']} cores, {first['server'].partition(',')[0]}, Python {first['python']}, {days[-1]}, {', '.join(commits)}"
