"""Every scenario of `python -m bench` runs and says what it promises to say; how fast is not a question for tests."""

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import OWN_KINDS

ROOT = Path(__file__).parents[2]
COMMON = ("--repeat", "1", "--json", "--server", OWN_KINDS[0])

pytestmark = pytest.mark.process


def bench(*arguments: str) -> dict[str, Any]:
    finished = subprocess.run(  # noqa: PLW1510 - its words are shown first
        [sys.executable, "-m", "bench", *arguments, *COMMON], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (finished.returncode, finished.stderr) == (0, "")
    report: dict[str, Any] = json.loads(finished.stdout)
    return report


def undocumented(figures: Iterable[str]) -> list[str]:
    """Figures that docs/benchmarks.md does not name; p90 and p99 stand between p50 and max."""
    documented = set(re.findall(r"`(\w+)`", (ROOT / "docs" / "benchmarks.md").read_text()))
    return [name for name in figures if re.sub("p9[09]_", "p50_", name) not in documented]


@pytest.mark.parametrize(
    ("arguments", "figures"),
    [
        (["drain", "--jobs", "200", "--slots", "20"], {"jobs_per_s", "worker_cpu_us_per_job", "redis_cpu_s", "redis_commands_per_job"}),
        (["drain", "--jobs", "200", "--limit", "--sync", "--payload", "100"], {"jobs_per_s"}),
        (["enqueue", "--jobs", "200", "--no-persistence"], {"bulk_jobs_per_s", "single_jobs_per_s", "single_p99_ms"}),
        (["latency", "--jobs", "20"], {"p50_ms", "p90_ms", "p99_ms", "max_ms"}),
        (
            ["throttle", "--backlog", "200", "--seconds", "1", "--workers", "2"],
            {"starts_of_permitted_percent", "order_inversions", "redis_commands_per_start", "token_to_handler_p99_ms"},
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_scenario_reports_its_figures_with_where_they_were_measured(arguments: list[str], figures: set[str]) -> None:
    report = bench(*arguments)

    assert figures <= report["figures"].keys()
    assert all(row["min"] <= row["median"] <= row["max"] and len(row["values"]) == 1 for row in report["figures"].values())
    assert report["repetitions"] == 1
    assert report["redis_commands"]["evalsha"]["calls"] > 0
    assert report["environment"].keys() >= {"cpus", "cpu", "python", "redis_py", "uvloop", "server", "persistence", "commit"}
    assert (report["environment"]["persistence"] == "none") == ("--no-persistence" in arguments)
    if report["scenario"] == "throttle":
        assert report["figures"]["worst_window_beyond_bound_starts"]["max"] <= 0
    assert undocumented(report["figures"]) == []
