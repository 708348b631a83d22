"""The arithmetic and the bookkeeping of `python -m bench`, and what docs/explanation/benchmarks.md says of its cases."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.__main__ import SCENARIOS, main, parser_of_options
from bench.environment import Environment
from bench.redis_load import CommandUse, RedisLoad
from bench.results import CaseResult, Report, newest, number, save, spreads
from bench.run import Conditions, report
from bench.scenario import Repetition, Scenario, percentiles
from bench.script_time.workshop import WORST_CASES
from runner.store.scripts import script_names
from tests.pages import page

ROOT = Path(__file__).parents[2]
PLACE = Environment(2, "a processor", 8, 0.5, "Linux 6", "3.11", "1", "8", "3", "none", "redis 7", "none", "abc1234")


@dataclass(frozen=True)
class Options:
    jobs: int = 10


async def unmeasured(url: str, options: Options) -> Repetition:
    raise AssertionError("not to be called")


def scenario(**cases: Options) -> Scenario:
    return Scenario("toy", "job", "a toy", cases, {"jobs": 1}, unmeasured)


def document(at: str, jobs_per_s: float) -> dict[str, Any]:
    repetitions = [Repetition({"jobs_per_s": jobs_per_s + extra}, {"get": CommandUse(1.5, 2)}) for extra in (0, 30, 10)]
    cases = {"small": CaseResult(Options(), repetitions, [0.1, 0.2, 0.3]), "lost": CaseResult(Options())}
    return Report(scenario(small=Options(), lost=Options()), PLACE, at, cases, ["toy lost 1/1: it broke"]).document()


def test_percentiles_are_by_nearest_rank() -> None:
    assert percentiles([5.0, 1.0, 3.0], "ms") == {"p50_ms": 3.0, "p90_ms": 5.0, "p99_ms": 5.0, "max_ms": 5.0}
    assert percentiles([float(value) for value in range(100)], "ms", "call_")["call_p99_ms"] == 99.0


def test_a_spread_has_the_median_and_both_ends() -> None:
    assert spreads({"jobs_per_s": [3, 1, 2]}) == {"jobs_per_s": {"median": 2, "min": 1, "max": 3, "values": [3, 1, 2]}}


def test_the_load_of_redis_counts_neither_what_was_before_nor_what_the_bench_sends() -> None:
    before = RedisLoad(1.0, {"get": CommandUse(10, 100), "info": CommandUse(1, 1)})
    after = RedisLoad(1.5, {"get": CommandUse(30, 300), "info": CommandUse(9, 9), "set": CommandUse(2, 4)})

    load = after.since(before)

    assert load.cpu_s == 0.5
    assert load.calls == 22
    assert load.per(4) == {"get": CommandUse(5, 50), "set": CommandUse(0.5, 1)}


@pytest.mark.parametrize(
    ("value", "text"),
    [(25_400.4, "25,400"), (325.16, "325"), (99.94, "99.9"), (7, "7"), (6.123, "6.12"), (0.01234, "0.0123"), (-2.5, "-2.50")],
)
def test_a_number_has_the_digits_that_say_something(value: float, text: str) -> None:
    assert number(value) == text


def test_cases_are_chosen_by_name_and_changed_by_option() -> None:
    toy = scenario(small=Options(), large=Options(1_000))

    assert toy.chosen([], {}) == {"small": Options(10), "large": Options(1_000)}
    assert toy.chosen(["large"], {"jobs": 5}) == {"large": Options(5)}
    with pytest.raises(LookupError, match=r"no case 'huge' .it has: small, large"):
        toy.chosen(["huge"], {})
    with pytest.raises(LookupError, match=r"no option 'slots' .it has: jobs"):
        toy.chosen([], {"slots": 1})


def test_the_newest_kept_document_of_a_scenario_counts(tmp_path: Path) -> None:
    older, newer = document("2030-01-31T09:00:00Z", 100), document("2030-02-01T08:00:00Z", 200)

    assert save(newer, tmp_path).name == "toy-2030-02-01-abc1234.json"
    save(older, tmp_path)

    assert newest(tmp_path) == {"toy": newer}
    assert newer["cases"]["small"]["figures"]["jobs_per_s"]["median"] == 210


def test_a_document_has_the_commands_of_the_middle_repetition_and_what_went_wrong() -> None:
    kept = document("2030-01-31T09:00:00Z", 100)

    assert kept["cases"]["small"]["redis_commands"] == {"per": "job", "get": {"calls": 1.5, "us": 2}}
    assert list(kept["cases"]) == ["small"]
    assert kept["failures"] == ["toy lost 1/1: it broke"]


def test_a_repetition_that_goes_wrong_is_told_and_leaves_the_others() -> None:
    asked: list[int] = []

    async def measure(url: str, options: Options) -> Repetition:
        asked.append(options.jobs)
        if len(asked) == 2:
            raise RuntimeError("the machine is tired")
        return Repetition({"jobs_per_s": float(options.jobs)})

    toy = Scenario("toy", "job", "a toy", {"small": Options(1), "large": Options(2)}, {}, measure, {"large": 1})
    measured = report(toy, toy.cases, Conditions("valkey", persistent=False, repeat=3))

    assert asked == [1, 2, 1, 1]
    assert [len(case.repetitions) for case in measured.cases.values()] == [3, 0]
    assert measured.failures == ["toy large 1/1: RuntimeError: the machine is tired"]
    assert "FAILED toy large 1/1" in measured.text()


def test_the_document_names_every_scenario_with_its_cases() -> None:
    written, _, _ = page("benchmarks.md").read_text().partition("## Measured")
    rows = re.findall(r"^\| `([\w-]+)` \| (.*) \|$", written, re.MULTILINE)
    documented = {name: set(re.findall(r"`([\w-]+)`", text)) for name, text in rows}

    for name, known in SCENARIOS.items():
        assert known.cases.keys() - documented[name] == set(), name
        assert all(known.chosen([], known.quick))


@pytest.mark.parametrize(
    "command", ["--repeat 1 --case polls hostile", "hostile --repeat 1 --case polls", "--case polls hostile --repeat 1"]
)
def test_options_hold_before_the_scenario_and_after_it(command: str) -> None:
    given = parser_of_options().parse_args(command.split())

    assert (given.scenario, given.repeat, given.case, given.quick) == ("hostile", 1, ["polls"], False)


def test_every_script_has_worst_cases_and_the_document_says_what_they_are() -> None:
    written = page("benchmarks.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (.*_ms`.*) \|$", written, re.MULTILINE)
    documented = {script: re.findall(r"`(\w+)_ms`", text) for script, text in rows}

    assert documented.keys() == set(script_names())
    assert documented == {script: list(cases) for script, cases in WORST_CASES.items()}


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("drain --case async --save", "--save keeps whole scenarios"),
        ("--save --quick", "--save keeps whole scenarios"),
        ("--case async", "belong to one scenario"),
        ("drain --case fast", "drain has no case 'fast'"),
        ("drain --set speed=1", "drain has no option 'speed'"),
    ],
)
def test_a_command_that_cannot_be_meant_is_refused(command: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(command.split())

    assert ended.value.code == 2
    assert words in capsys.readouterr().err
