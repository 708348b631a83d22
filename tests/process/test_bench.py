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

pytestmark = pytest.mark.process


def bench(*arguments: str) -> dict[str, Any]:
    """The document of one scenario."""
    finished = subprocess.run(  # noqa: PLW1510 - its words are shown first
        [sys.executable, "-m", "bench", *arguments, "--quick", "--json", "--server", OWN_KINDS[0]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert finished.returncode == 0, finished.stderr
    document: dict[str, Any] = json.loads(finished.stdout)
    return document


def undocumented(figures: Iterable[str]) -> list[str]:
    """Figures that docs/benchmarks.md does not name; p90 and p99 stand between p50 and max."""
    documented = set(re.findall(r"`(\w+)`", (ROOT / "docs" / "benchmarks.md").read_text()))
    return [name for name in figures if re.sub("p9[09]_", "p50_", name) not in documented]


@pytest.mark.parametrize(
    ("scenario", "cases", "figures"),
    [
        ("enqueue", ["single", "bulk-limit"], {"jobs_per_s", "call_p99_ms", "producer_cpu_us_per_job", "redis_commands_per_job"}),
        ("drain", ["sync", "payload-100k"], {"jobs_per_s", "worker_cpu_us_per_job", "redis_cpu_us_per_job", "redis_commands_per_job"}),
        ("multi-limit", ["three", "keys-100"], {"jobs_per_s", "redis_commands_per_job"}),
        ("scale", ["workers-2-queues-2"], {"jobs_per_s", "redis_busy_percent"}),
        ("latency", ["idle"], {"p50_ms", "p99_ms", "submit_call_p50_ms", "redis_commands_per_job"}),
        ("latency", ["half-load"], {"p50_ms", "load_wanted_per_s", "load_made_per_s"}),
        (
            "throttle",
            ["waiting-1k", "leader-killed"],
            {"starts_of_permitted_percent", "order_inversions", "redis_commands_per_start", "token_to_handler_p99_ms"},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_scenario_reports_its_figures_with_where_they_were_measured(scenario: str, cases: list[str], figures: set[str]) -> None:
    document = bench(scenario, *(word for case in cases for word in ("--case", case)))

    assert document["scenario"] == scenario
    assert list(document["cases"]) == cases
    assert document["failures"] == []
    assert document["environment"].keys() >= {"cpus", "cpu", "python", "redis_py", "uvloop", "server", "persistence", "commit"}
    for case in document["cases"].values():
        assert figures <= case["figures"].keys()
        assert all(row["min"] <= row["median"] <= row["max"] and len(row["values"]) == 1 for row in case["figures"].values())
        assert undocumented(case["figures"]) == []
        if scenario == "throttle":
            assert case["figures"]["worst_window_beyond_bound_starts"]["max"] <= 0
