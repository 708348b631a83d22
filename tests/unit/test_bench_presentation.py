"""Pictures and tables of kept results: docs/ has what bench/results/ says, and what is missing is left out."""

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from bench.presentation.command import IMAGES, PAGE, contents
from bench.presentation.panels import Bar, Panel, picture
from bench.presentation.pictures import pictures
from bench.presentation.tables import BEGIN, END, measured, rewritten
from bench.results import spreads

PLACE = {
    "cpus": 2,
    "cpu": "a processor",
    "system": "Linux 6",
    "python": "3.11",
    "uvloop": "1",
    "redis_py": "8",
    "server": "redis 7, unix socket",
    "persistence": "none",
    "commit": "abc1234",
}


def document(scenario: str, cases: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    kept = {name: {"load": [0.25, 1.5], "figures": spreads(figures)} for name, figures in cases.items()}
    return {"scenario": scenario, "at": "2030-01-31T12:00:00Z", "environment": PLACE, "cases": kept, "failures": []}


def words_of(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter() if element.tag.endswith("text")]


@pytest.mark.parametrize("path", contents(), ids=lambda path: path.name)
def test_the_documents_have_what_the_kept_results_say(path: Path) -> None:
    """After `--save` run `python -m bench plot`."""
    assert path.read_text() == contents()[path]


def test_no_picture_is_left_of_results_that_are_gone() -> None:
    assert set(IMAGES.glob("bench-*.svg")) == contents().keys() - {PAGE}


def test_a_picture_has_a_bar_for_each_case_with_its_figure_and_spread() -> None:
    svg = picture(
        "title <&>", "note", [Panel("Jobs", "a second", [Bar("one", 1_000, 900, 1_100), Bar("a name that is too long", 10, 10, 10)])]
    )

    assert words_of(svg) == ["title <&>", "note", "Jobs", "a second", "one", "1,000", "a name that is to…", "10"]
    assert svg.count("<line") == 3 + 1


def test_pictures_are_drawn_of_what_is_kept() -> None:
    drain = document("drain", {"async": {"jobs_per_s": [20_000, 30_000, 25_000]}})
    peers = document("peers", {"runner": {"drain_jobs_per_s": [9]}, "other": {"drain_jobs_per_s": [12]}})

    drawn = pictures({"drain": drain, "peers": peers})

    assert list(drawn) == ["bench-speed.svg", "bench-peers.svg"]
    assert {"coroutines", "25,000"} <= set(words_of(drawn["bench-speed.svg"]))
    assert words_of(drawn["bench-peers.svg"])[-4:] == ["other", "12", "runner", "9"]
    assert pictures({}) == {}


def test_a_table_has_medians_with_the_spread_of_the_first() -> None:
    results = {
        "drain": document(
            "drain",
            {"async": {"jobs_per_s": [3_000, 1_000, 2_000], "redis_commands_per_job": [6.5]}, "sync": {"jobs_per_s": [7]}},
        ),
        "multi-limit": document("multi-limit", {"one": {"jobs_per_s": [75]}, "none": {"jobs_per_s": [100]}}),
    }

    text = measured(results, ["bench-speed.svg"])

    assert "![bench-speed](bench-speed.svg)" in text
    assert "| case | jobs/s | commands/job |\n|---|---|---|\n| `async` | 2,000 (1,000 to 3,000) | 6.50 |\n| `sync` | 7 |  |" in text
    assert "Load average before each repetition: 0.25 to 1.5." in text
    assert "| jobs finished with a limit on each, of the same without | 75% |" in text


def test_a_page_is_written_anew_between_its_marks() -> None:
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"

    once = rewritten(page, "new")

    assert once == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    assert rewritten(once, "new") == once
    with pytest.raises(ValueError, match="needs the lines"):
        rewritten("no marks", "new")
