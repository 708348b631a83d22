"""Shows a document of `python -m bench peers` as Markdown tables: what was measured, ours compared with each, and what each cannot do."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.peers.catalogue import OURS
from bench.results import Document, number

Figures = Mapping[str, Mapping[str, float]]

_SPREAD = ("drain_jobs_per_s", "single_jobs_per_s", "concurrent_jobs_per_s", "bulk_jobs_per_s")
_COLUMNS = {
    "drain_jobs_per_s": "drain, jobs/s",
    "single_jobs_per_s": "submit, jobs/s",
    "concurrent_jobs_per_s": "100 at once",
    "bulk_jobs_per_s": "in bulk, jobs/s",
    "latency_p50_ms": "idle p50, ms",
    "latency_p99_ms": "p99, ms",
    "single_cpu_us_per_job": "submit CPU, µs/job",
    "concurrent_cpu_us_per_job": "at once",
    "bulk_cpu_us_per_job": "in bulk",
    "worker_cpu_us_per_job": "worker CPU, µs/job",
    "redis_cpu_us_per_job": "Redis CPU, µs/job",
    "redis_commands_per_job": "commands/job",
}
_THROTTLE = {
    "throttle_starts_of_permitted_percent": "permitted starts made, %",
    "throttle_most_in_950_ms": "fullest 0.95 s",
    "throttle_allowed_in_950_ms": "allowed in it",
    "throttle_redis_commands_per_start": "commands/start",
    "throttle_worker_cpu_s": "worker CPU, s",
    "throttle_redis_cpu_s": "Redis CPU, s",
}


def text(document: Document) -> str:
    """Everything, with where it was measured and how each peer was set up."""
    place = "  ".join(f"{name}={value}" for name, value in document["environment"].items())
    return "\n\n".join(
        [place, *tables(document), *(f"Failed: {failure}." for failure in document["failures"]), _settings(document["peers"])]
    )


def tables(document: Document) -> list[str]:
    """What was measured, the fastest first, how it relates, and the same of the limiters."""
    cases = {name: case["figures"] for name, case in document["cases"].items()}
    ordered = sorted(cases, key=lambda name: -cases[name].get("drain_jobs_per_s", {"median": 0})["median"])
    drained = [name for name in ordered if "drain_jobs_per_s" in cases[name]]
    throttled = [name for name in ordered if "throttle_starts" in cases[name]]
    parts = [_measured(cases, drained, _COLUMNS)]
    if OURS.name in drained and len(drained) > 1:
        parts.append(_ratios(cases, drained))
    if throttled:
        parts.append(_measured(cases, throttled, _THROTTLE))
    return parts


def _measured(cases: Mapping[str, Figures], names: Sequence[str], columns: Mapping[str, str]) -> str:
    known = {figure: words for figure, words in columns.items() if any(figure in cases[name] for name in names)}
    return _table(["", *known.values()], [[name, *(_cell(cases[name], figure) for figure in known)] for name in names])


def _cell(figures: Figures, figure: str) -> str:
    """Median, with the spread where it matters; a dash where the peer cannot."""
    if figure not in figures:
        return "-"
    values = figures[figure]
    spread = f" ({number(values['min'])}-{number(values['max'])})" if figure in _SPREAD and values["min"] != values["max"] else ""
    return number(values["median"]) + spread


def _ratios(cases: Mapping[str, Figures], names: Sequence[str]) -> str:
    """How many times faster ours is, or its latency shorter: medians of the same run."""
    ours = cases[OURS.name]
    rows = []
    for name in names:
        if name == OURS.name:
            continue
        theirs = cases[name]
        # A peer that has no bulk call is compared by the only call that it has.
        bulk = "bulk_jobs_per_s" if "bulk_jobs_per_s" in theirs else "single_jobs_per_s"
        ratios = [
            _ratio(ours, theirs, "drain_jobs_per_s"),
            _ratio(ours, theirs, "single_jobs_per_s"),
            _median(ours, "bulk_jobs_per_s") / _median(theirs, bulk),
            _ratio(theirs, ours, "latency_p50_ms"),
            _ratio(theirs, ours, "latency_p99_ms"),
        ]
        rows.append([name, *(f"{ratio:.1f}x" if ratio < 100 else f"{ratio:.0f}x" for ratio in ratios)])
    return _table([f"{OURS.name} is faster than", "drain", "submit", "its fastest submit", "idle p50", "p99"], rows)


def _median(figures: Figures, figure: str) -> float:
    return figures[figure]["median"]


def _ratio(more: Figures, less: Figures, figure: str) -> float:
    return _median(more, figure) / _median(less, figure)


def _settings(peers: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        [name, peer["version"], peer["python"], f"{peer['jobs']:,}", peer["settings"], peer["cannot"] or "-"]
        for name, peer in peers.items()
    ]
    return _table(["peer", "version", "Python", "jobs", "set", "cannot"], rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown whose columns are aligned for a terminal too: names to the left, figures to the right."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        aligned: Sequence[Callable[[str, int], str]] = [
            str.ljust if header[0] == "peer" or not place else str.rjust for place in range(len(cells))
        ]
        return "| " + " | ".join(align(cell, width) for align, cell, width in zip(aligned, cells, widths, strict=True)) + " |"

    return "\n".join([line(header), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *(line(row) for row in rows)])
