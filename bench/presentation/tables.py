"""The part of docs/explanation/benchmarks.md that is made of the kept results: a table for each scenario, and how the figures relate."""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from bench.peers.table import tables
from bench.results import Document, Results, number

BEGIN, END = "<!-- measured: made by python -m bench plot -->", "<!-- measured: end -->"

_COLUMNS: Mapping[str, Mapping[str, str]] = {
    "enqueue": {"jobs_per_s": "jobs/s", "call_p50_ms": "call p50, ms", "redis_cpu_us_per_job": "Redis µs/job"},
    "drain": {
        "jobs_per_s": "jobs/s",
        "worker_cpu_us_per_job": "worker µs/job",
        "redis_cpu_us_per_job": "Redis µs/job",
        "redis_commands_per_job": "commands/job",
    },
    "multi-limit": {
        "jobs_per_s": "jobs/s",
        "worker_cpu_us_per_job": "worker µs/job",
        "redis_cpu_us_per_job": "Redis µs/job",
        "redis_commands_per_job": "commands/job",
    },
    "scale": {
        "jobs_per_s": "jobs/s",
        "worker_cpu_us_per_job": "worker µs/job",
        "redis_cpu_us_per_job": "Redis µs/job",
        "redis_busy_percent": "Redis busy, %",
    },
    "latency": {"p50_ms": "p50, ms", "p99_ms": "p99, ms", "max_ms": "max, ms", "load_made_per_s": "load, jobs/s"},
    "throttle": {
        "starts_of_permitted_percent": "permitted starts made, %",
        "worst_window_beyond_bound_starts": "beyond the bound",
        "token_to_handler_p50_ms": "token to handler p50, ms",
        "token_to_handler_p99_ms": "p99, ms",
        "redis_commands_per_start": "commands/start",
        "worker_cpu_us_per_start": "worker µs/start",
        "redis_cpu_us_per_start": "Redis µs/start",
    },
    "fairness": {
        "jain_index": "Jain index",
        "part_p50_percent": "part of several limits p50, %",
        "least_part_percent": "least part, %",
        "single_least_part_percent": "of one limit, %",
        "use_mean_percent": "use of limits, %",
        "quiet_wait_max_s": "longest wait of a quiet line, s",
        "busy_wait_max_s": "of a busy line, s",
        "high_starts_percent": "high, %",
        "normal_starts_percent": "normal, %",
        "low_starts_percent": "low, %",
    },
    "http": {
        "requests_per_s": "requests/s",
        "jobs_per_s": "jobs/s",
        "request_p50_ms": "p50, ms",
        "request_p99_ms": "p99, ms",
        "service_cpu_us_per_job": "service µs/job",
    },
    "recovery": {"killed_to_first_rerun_s": "first job again, s", "killed_to_last_rerun_s": "last job again, s"},
    "memory": {
        "redis_bytes_per_waiting_job": "bytes/waiting job",
        "redis_bytes_per_finished_job": "bytes/finished job",
        "worker_mb_after_first": "worker after 20,000, MB",
        "worker_mb_after_all": "after 200,000, MB",
        "command_mb_at_start": "the command at its start, MB",
    },
    "imports": {
        "import_ratio": "of the packages alone",
        "import_ms": "import, ms",
        "packages_ms": "packages alone, ms",
        "import_mb": "import, MB",
        "packages_mb": "packages alone, MB",
    },
    "floor": {
        "share_percent": "share, %",
        "cpu_share_percent": "share of CPU, %",
        "jobs_per_s": "runner, jobs/s",
        "bare_jobs_per_s": "bare, jobs/s",
        "requests_per_s": "runner, requests/s",
        "bare_requests_per_s": "bare, requests/s",
        "redis_cpu_us_per_job": "Redis µs/job",
        "bare_redis_cpu_us_per_job": "bare, Redis µs/job",
    },
}

_RATIOS = (
    ("jobs finished with a limit on each, of the same without", "multi-limit", "jobs_per_s", "one", "none", "{:.0%}"),
    ("jobs finished with three limits on each, of the same with one", "multi-limit", "jobs_per_s", "three", "one", "{:.0%}"),
    ("jobs finished by two workers, of those by one", "scale", "jobs_per_s", "workers-2", "workers-1", "{:.2f} times"),
    ("Redis commands for a start with 1,000,000 waiting, of those with 1,000", "throttle", "redis_commands_per_start", "waiting-1m", "waiting-1k", "{:.2f} times"),
    ("Redis CPU of a job with 10,000 keys, of that with one", "multi-limit", "redis_cpu_us_per_job", "keys-10000", "keys-1", "{:.2f} times"),
    ("jobs finished with 1 KB of argument, of the same without", "drain", "jobs_per_s", "payload-1k", "async", "{:.0%}"),
)  # fmt: skip


def measured(results: Results, pictures: list[str]) -> str:
    """What stands between the marks."""
    if not results:
        return "Nothing is kept in bench/results/ yet."
    parts = [f"![{PurePosixPath(link).stem}]({link})" for link in pictures]
    said = ""
    for scenario, document in ((name, results[name]) for name in (*_COLUMNS, "peers") if name in results):
        parts.append(f"### Measured: {scenario}")
        # Said once for all that were measured under the same conditions.
        if (conditions := _conditions(document)) != said:
            parts.append(conditions)
            said = conditions
        parts.append(_load(document))
        parts += ["\n".join(_table(document, _COLUMNS[scenario]))] if scenario in _COLUMNS else tables(document)
        parts += [f"Failed: {failure}." for failure in document["failures"]]
    if ratios := list(_ratios(results)):
        parts += ["### How they relate", "\n".join(["| | |", "|---|---|", *ratios])]
    return "\n\n".join(parts)


def rewritten(page: str, content: str) -> str:
    """The page with this content between its marks. Raises ValueError without them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page needs the lines {BEGIN} and {END}: put them where the figures are to stand")
    return f"{before}{BEGIN}\n\n{content}\n\n{END}{after}"


def _conditions(document: Document) -> str:
    place = document["environment"]
    return (
        f"{document['at'][:10]} at {place['commit']}: {place['cpus']} cores of {place['cpu']}, {place['system']}, Python {place['python']}, "
        f"uvloop {place['uvloop']}, redis-py {place['redis_py']}, {place['server']}, {place['persistence']}."
    )


def _load(document: Document) -> str:
    """What others did on the machine meanwhile; each case leaves some of its own to the next."""
    loads = [load for case in document["cases"].values() for load in case["load"]]
    return f"Load average before each repetition: {min(loads):g} to {max(loads):g}."


def _table(document: Document, columns: Mapping[str, str]) -> Iterator[str]:
    """Medians, the first with its spread; only columns that a case has."""
    cases = {name: case["figures"] for name, case in document["cases"].items()}
    present = {figure: title for figure, title in columns.items() if any(figure in figures for figures in cases.values())}
    yield "| case | " + " | ".join(present.values()) + " |"
    yield "|---" * (len(present) + 1) + "|"
    for name, figures in cases.items():
        cells = []
        for place, figure in enumerate(present):
            row = figures.get(figure)
            spread = f" ({number(row['min'])} to {number(row['max'])})" if row and place == 0 and row["min"] != row["max"] else ""
            cells.append(number(row["median"]) + spread if row else "")
        yield f"| `{name}` | " + " | ".join(cells) + " |"


def _ratios(results: Results) -> Iterator[str]:
    """Medians of one run by each other."""
    for words, scenario, figure, one, other, form in _RATIOS:
        cases = results[scenario]["cases"] if scenario in results else {}
        if one in cases and other in cases:
            medians = [cases[case]["figures"][figure]["median"] for case in (one, other)]
            yield f"| {words} | {form.format(medians[0] / medians[1])} |"
