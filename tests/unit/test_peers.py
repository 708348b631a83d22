"""The tables of `python -m bench peers`, what it counts, and that its peers can be set up again as they were."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.peers.catalogue import PEERS, PROGRAMS, Peer
from bench.peers.command import chosen
from bench.peers.environments import NoInterpreter, interpreter
from bench.peers.measure import Rate, most_in_window
from bench.peers.table import text
from bench.results import spreads
from tests.pages import page
from tests.unit.test_docs import table


def document(**figures: dict[str, list[float]]) -> dict[str, Any]:
    return {
        "environment": {"cpus": 2},
        "cases": {name: {"figures": spreads(values)} for name, values in figures.items()},
        "peers": {
            name: {"version": f"{name} 1.0", "python": "3.11", "jobs": 1000, "settings": "as it comes", "cannot": ""} for name in figures
        },
        "failures": ["slow, turn 2: stalled: 7 of 1,000 jobs after 45 s"],
    }


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


SHOWN = text(
    document(
        slow={"drain_jobs_per_s": [100, 90, 110], "single_jobs_per_s": [50], "latency_p50_ms": [3], "latency_p99_ms": [9]},
        runner={
            "drain_jobs_per_s": [1_000],
            "single_jobs_per_s": [100],
            "bulk_jobs_per_s": [5_000],
            "latency_p50_ms": [1.5],
            "latency_p99_ms": [18],
            "throttle_starts": [810],
            "throttle_most_in_950_ms": [105],
        },
    )
)


def rows(name: str) -> list[list[str]]:
    return [cells(line) for line in SHOWN.splitlines() if cells(line)[0] == name]


def test_the_fastest_comes_first() -> None:
    assert SHOWN.index("| runner") < SHOWN.index("| slow")


def test_a_figure_is_its_median_and_spread_and_a_dash_where_there_is_none() -> None:
    assert rows("slow")[0][:4] == ["slow", "100 (90-110)", "50", "-"]


def test_a_figure_that_nobody_has_is_no_column() -> None:
    assert "in bulk, jobs/s" in SHOWN
    assert "100 at once" not in SHOWN


def test_ours_is_compared_with_the_fastest_way_to_submit_that_a_peer_has() -> None:
    assert rows("slow")[1] == ["slow", "10.0x", "2.0x", "100x", "2.0x", "0.5x"]


def test_only_who_was_limited_is_in_the_table_of_limits() -> None:
    assert rows("runner")[1][1] == "105"
    assert len(rows("runner")) == 3
    assert len(rows("slow")) == 3


def test_what_failed_is_told() -> None:
    assert "\nFailed: slow, turn 2: stalled: 7 of 1,000 jobs after 45 s.\n" in SHOWN


def test_the_fullest_window_is_found() -> None:
    assert most_in_window([0, 1, 5, 9, 10, 11, 12], 3) == 3
    assert most_in_window([], 3) == 0


def test_a_window_is_permitted_whole_and_a_bucket_as_time_goes() -> None:
    assert Rate("window", 100, 0).permitted(1.5) == 200
    assert Rate("bucket", 100, 10).permitted(1.5) == 160


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_peer_has_its_program_and_every_package_pinned(peer: Peer) -> None:
    assert (PROGRAMS / f"{peer.module}.py").exists()
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in peer.requirements.read_text().split())


def test_the_documents_say_how_each_peer_was_set_up() -> None:
    documented = {row.cells[0].strip("`"): row.cells[1:] for row in table(page("benchmarks.md").read_text(), "peer")}

    assert documented == {peer.name: [peer.version, peer.settings, peer.cannot or "-"] for peer in PEERS}


def test_a_peer_without_an_interpreter_is_refused_by_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.peers.environments._FOLDER", tmp_path)

    with pytest.raises(NoInterpreter, match=r"needs Python 3\.99 or newer"):
        interpreter(replace(PEERS[0], oldest_python=(3, 99)))


def test_peers_are_chosen_by_name() -> None:
    assert [peer.name for peer in chosen("arq,saq")] == ["arq", "saq"]
    assert chosen("none") == []
    assert chosen("") == list(PEERS)
    with pytest.raises(LookupError, match="no peer 'resque'"):
        chosen("resque")
