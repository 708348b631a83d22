"""`python -m bench peers` measures ours and a stranger in the same manner, and says plainly what a peer did wrong."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.peers.catalogue import PROGRAMS
from bench.peers.command import QUICK
from bench.peers.measure import Rate, drained, throttled
from bench.peers.process import PeerFailed
from tests.conftest import OWN_KINDS
from tests.eventually import PATIENCE_S
from tests.pages import page
from tests.servers import Server

ROOT = Path(__file__).parents[2]
FAKE: list[str | Path] = [sys.executable, PROGRAMS / "driver.py", "tests.process.fake_peer"]
SIZES = replace(QUICK, jobs=200, drain_timeout_s=10, pause_s=0.001)


@pytest.fixture
def url() -> Iterator[str]:
    with Server(OWN_KINDS[0], tcp=True) as server:
        yield server.url


async def test_a_peer_is_measured_from_outside(url: str) -> None:
    figures = await drained(url, FAKE, SIZES)

    assert figures.keys() == {
        "single_jobs_per_s",
        "single_cpu_us_per_job",
        "bulk_cpu_us_per_job",
        "bulk_jobs_per_s",
        "drain_jobs_per_s",
        "worker_cpu_us_per_job",
        "redis_cpu_us_per_job",
        "redis_commands_per_job",
        "latency_p50_ms",
        "latency_p99_ms",
    }
    assert all(value > 0 for value in figures.values())
    # A job is a BLPOP and a HSET; the reply of one may fall behind the end.
    assert 1.9 < figures["redis_commands_per_job"] < 2.2
    assert figures["latency_p50_ms"] <= figures["latency_p99_ms"] < 1_000


async def test_a_peer_that_ignores_the_limit_is_found_out(url: str) -> None:
    sizes = replace(SIZES, backlog=300, throttle_s=1)

    figures = await throttled(url, FAKE, sizes, Rate("window", 100, 0))

    assert figures["throttle_most_in_950_ms"] > figures["throttle_allowed_in_950_ms"] == 100
    assert figures["throttle_starts_of_permitted_percent"] == 300


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("stalls", "stalled: 0 of 200 jobs after 1 s"),
        ("dies", "ended with status 3: out of luck"),
        ("refuses", "ValueError: no job today"),
        ("forgets", "results of a middle job and of the last, number 200: [None, None]"),
    ],
)
async def test_a_peer_that_goes_wrong_is_told(url: str, fault: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_PEER", fault)

    with pytest.raises(PeerFailed, match=re.escape(words)):
        await drained(url, FAKE, replace(SIZES, drain_timeout_s=1))


def peers(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", "peers", *arguments, "--server", OWN_KINDS[0]]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=10 * PATIENCE_S, check=False)


@pytest.mark.slow
def test_ours_is_a_peer_like_the_others() -> None:
    finished = peers("--only", "none", "--quick", "--json")

    assert finished.returncode == 0, finished.stderr
    document: dict[str, Any] = json.loads(finished.stdout)
    assert document["failures"] == []
    ours, window = document["cases"]["runner"], document["cases"]["runner, window"]
    assert len(ours["figures"]["drain_jobs_per_s"]["values"]) == 2
    # What is allowed is kept by Redis's clock; handlers may crowd together behind it on a busy machine.
    assert ours["figures"]["throttle_starts"]["min"] > 0
    assert window["figures"]["throttle_allowed_in_950_ms"]["max"] == 100
    documented = set(re.findall(r"`(\w+)`", page("benchmarks.md").read_text()))
    assert ours["figures"].keys() - documented == set()


def test_a_peer_that_nobody_knows_is_refused_with_those_that_are_known() -> None:
    finished = peers("--only", "arq,resque")

    assert finished.returncode == 2
    assert "no peer 'resque' (there are: ardiq, arq, " in finished.stderr


def test_a_part_is_not_kept_as_if_it_were_all() -> None:
    finished = peers("--only", "arq", "--save")

    assert finished.returncode == 2
    assert "not together with --only" in finished.stderr
