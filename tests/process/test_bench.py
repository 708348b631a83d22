"""Every scenario of `python -m bench` runs and says what it promises to say; how fast is not a question for tests."""

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from bench.http_load import Request, load
from bench.scenarios.http import POST, service
from tests.conftest import OWN_KINDS
from tests.eventually import PATIENCE_S
from tests.pages import page

ROOT = Path(__file__).parents[2]


def bench(*arguments: str) -> dict[str, Any]:
    """The document of one scenario."""
    finished = subprocess.run(  # noqa: PLW1510 - its words are shown first
        [sys.executable, "-m", "bench", *arguments, "--quick", "--json", "--server", OWN_KINDS[0]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=10 * PATIENCE_S,
    )
    assert finished.returncode == 0, finished.stderr
    document: dict[str, Any] = json.loads(finished.stdout)
    return document


def undocumented(figures: Iterable[str]) -> list[str]:
    """Figures that docs/explanation/benchmarks.md does not name; p90 and p99 stand between p50 and max, and each call has a median and a most."""
    documented = set(re.findall(r"`(\w+)`", page("benchmarks.md").read_text()))
    return [name for name in figures if not {name, re.sub("p9[09]_", "p50_", name), re.sub("_(median|most)_ms$", "_ms", name)} & documented]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scenario", "case", "figures"),
    [
        ("enqueue", "single-limit", {"jobs_per_s", "call_p99_ms", "producer_cpu_us_per_job", "redis_commands_per_job"}),
        ("drain", "sync", {"jobs_per_s", "worker_cpu_us_per_job", "redis_cpu_us_per_job", "redis_commands_per_job"}),
        ("multi-limit", "keys-100", {"jobs_per_s", "redis_commands_per_job"}),
        ("scale", "workers-2-queues-2", {"jobs_per_s", "redis_busy_percent"}),
        ("latency", "half-load", {"p50_ms", "p99_ms", "submit_call_p50_ms", "load_wanted_per_s", "load_made_per_s"}),
        ("throttle", "leader-killed", {"starts_of_permitted_percent", "order_inversions", "token_to_handler_p99_ms"}),
        ("shared", "slow-4", {"used_of_permitted_percent", "home_calls_per_start", "token_to_start_p50_ms", "fairness_percent"}),
        ("shared", "costs-4", {"worst_window_beyond_bound_tokens", "round_trip_ms"}),
        ("foretold", "behind-others", {"foretold_end_s", "real_end_s", "end_off_percent", "foretell_ms"}),
        ("fairness", "quiet", {"jain_index", "quiet_wait_max_s", "busy_wait_max_s"}),
        ("fairness", "two-limits", {"part_p50_percent", "lines_without_a_start", "use_mean_percent"}),
        ("http", "batch", {"jobs_per_s", "request_p99_ms", "service_cpu_us_per_job", "redis_commands_per_job"}),
        ("recovery", "leader-killed", {"killed_to_last_rerun_s", "jobs_rerun"}),
        ("memory", "redis", {"redis_bytes_per_waiting_job", "redis_bytes_per_finished_job"}),
        ("memory", "worker", {"worker_mb_after_all", "worker_growth_percent"}),
        ("script-time", "trim", {"dead_letters_ms", "dead_letters_median_ms", "dead_letters_most_ms", "lines_ms"}),
        (
            "hostile",
            "polls",
            {"redis_block_max_ms", "loop_block_max_ms", "loop_block_cpu_max_ms", "others_answer_max_ms", "others_refused"},
        ),
        ("hostile", "many-values", {"api_memory_max_mb", "redis_memory_max_mb", "others_answer_p99_ms"}),
        ("hostile", "slow-bodies", {"loop_block_max_ms", "others_refused"}),
        ("floor", "drain", {"share_percent", "jobs_per_s", "bare_jobs_per_s", "bare_redis_cpu_us_per_job"}),
        ("floor", "submit", {"share_percent", "bare_jobs_per_s"}),
        ("floor", "batch", {"share_percent", "jobs_per_s", "bare_jobs_per_s", "bare_service_cpu_us_per_request"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_scenario_reports_its_figures_with_where_they_were_measured(scenario: str, case: str, figures: set[str]) -> None:
    document = bench(scenario, "--case", case)

    assert document["scenario"] == scenario
    assert list(document["cases"]) == [case]
    assert document["failures"] == []
    assert document["environment"].keys() >= {"cpus", "cpu", "python", "redis_py", "uvloop", "server", "persistence", "commit"}
    measured = document["cases"][case]["figures"]
    assert figures <= measured.keys()
    assert all(row["min"] <= row["median"] <= row["max"] and len(row["values"]) == 1 for row in measured.values())
    assert undocumented(measured) == []
    if scenario == "throttle":
        assert measured["worst_window_beyond_bound_starts"]["max"] <= 0


async def test_the_own_load_generator_counts_answers_and_refusals(redis_url: str) -> None:
    async with service(redis_url) as (api, _):
        served = await load(api.said, POST, connections=2, seconds=0.3, generator=None)
        assert served.requests > 0
        assert served.p99_ms > 0
        with pytest.raises(RuntimeError, match="requests POST /v1/jobs failed"):
            await load(api.said, Request("POST", "/v1/jobs", "{}"), connections=2, seconds=0.3, generator=None)
