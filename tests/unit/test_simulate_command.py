"""`python -m runner simulate`: what it understands, what it refuses and how, and what it prints and draws."""

import json
import re
import shlex
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import typer
from typer.testing import CliRunner, Result

from runner import Runner
from runner.cli.simulate import simulate
from runner.cli.simulate.chart import in_words, tick_width
from runner.cli.simulate.grammar import parse_jobs, parse_limit
from runner.clock import MICROSECONDS
from runner.errors import ConfigurationError, RunnerError, UnknownTask
from runner.limits import Concurrency, Limit, Quota, SlidingWindow, TokenBucket
from runner.simulation import JobGroup
from tests.pages import page

S = MICROSECONDS

shop = Runner("shop")


@shop.task(
    limits=[TokenBucket("stripe", rate="10/s", burst=20), TokenBucket("openai", rate="1000/s", key="{model}")],
    cost={"openai": "tokens"},
    fair_by="{tenant_id}",
)
async def charge(tenant_id: str, tokens: int, model: str) -> None:
    """Never runs here."""


@shop.task(limits=[Concurrency("gpu", 2)])
async def render(tenant_id: str) -> None:
    """Never runs here."""


APP = f"{__name__}:shop"


def run(*words: str, width: int = 100) -> Result:
    app = typer.Typer()
    app.command()(simulate)
    return CliRunner().invoke(app, words, env={"COLUMNS": str(width)})


def printed(*words: str) -> str:
    result = run(*words)
    assert result.exit_code == 0, result.exception
    return result.output


def course(*words: str) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(printed(*words, "--json"))
    return fields


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("stripe=10/s", TokenBucket("stripe", rate="10/s")),
        ("stripe=10/s,burst=20", TokenBucket("stripe", rate="10/s", burst=20)),
        ("tenant=100/min,key={tenant_id}", TokenBucket("tenant", rate="100/min", key="{tenant_id}")),
        ("crm=interval:10,+2/10s", TokenBucket("crm", capacity=10, refill=2, every=10)),
        (" sms = window:100/60s , key={t} ", SlidingWindow("sms", 100, per=60, key="{t}")),
        ("gpu=concurrent:3", Concurrency("gpu", 3)),
        ("maps=quota:1000/month@Europe/Berlin", Quota("maps", 1000, per="month", tz="Europe/Berlin")),
        ("maps=quota:5/day,on_exhausted=fail", Quota("maps", 5, per="day", on_exhausted="fail")),
        ("maps=quota:5/day,jitter=0.5", Quota("maps", 5, per="day", jitter=0.5)),
        ("pay=20/s,burst=20,jitter=0.25", TokenBucket("pay", rate="20/s", burst=20, jitter=0.25)),
    ],
)
def test_every_kind_of_limit_can_be_written(text: str, limit: Limit) -> None:
    assert parse_limit(text) == limit


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("10/s", "is not understood: write NAME=10/s"),
        ("stripe=", "is not understood"),
        ("stripe=10", "rate '10'"),
        ("stripe=sliding:10/s", "is not understood"),
        ("stripe=10/s,burst", "'burst' is no option"),
        ("stripe=10/s,burst=many", "'many' is no whole number"),
        ("stripe=10/s,brust=3", "'brust' is no option of this kind"),
        ("stripe=10/s,burst=3,burst=4", "'burst=4' is no option"),
        ("crm=interval:10", "it never refills"),
        ("gpu=concurrent:0", "must be a whole number from 1"),
        ("maps=quota:1000", "'1000' names no period"),
        ("maps=quota:1000/fortnight", "'fortnight' is no calendar period"),
        ("maps=quota:1000/month@Mars", "time zone 'Mars' is unknown"),
    ],
)
def test_a_limit_that_is_not_understood_is_named_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_limit(text)

    assert why in str(caught.value)
    assert text.partition("=")[0] in str(caught.value)


def test_jobs_are_tenants_with_counts_and_times() -> None:
    assert parse_jobs("a:1000, b:10@0.5,7", S) == [
        JobGroup("a", 1000, 0, S),
        JobGroup("b", 10, S // 2, S),
        JobGroup("all", 7, 0, S),
    ]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--jobs", "a:ten", "--limit", "x=1/s"], "jobs 'a:ten' are not understood: write TENANT:COUNT"),
        (["--jobs", "a:1@inf", "--limit", "x=1/s"], "jobs 'a:1@inf' are not understood"),
        (["--limit", "x=1/s"], "there are no jobs: give --jobs"),
        (["--jobs", "5"], "there is no limit to keep: give --limit"),
        (["--jobs", "5", "--limit", "x=1/s", "--cost", "x:2"], "cost 'x:2' is not understood"),
        (["--jobs", "5", "--limit", "x=1/s", "--cost", "x=2"], "cost 2 of limit 'x' is more than its bucket can ever hold"),
        (["--jobs", "5", "--limit", "x=1/s", "--slots", "0"], "0 slots run nothing"),
        (["--file", "/no/such/file", "--limit", "x=1/s"], "file '/no/such/file' cannot be read"),
        (["--jobs", "5", "--limit", "x=1/s", "--svg", "/no/such/folder/x.svg"], "the picture cannot be written"),
        (["--jobs", "5", "--app", APP], "unknown task None on queue 'shop' (known: charge, render)"),
        (["--jobs", "5", "--app", APP, "--task", "chrage"], "unknown task 'chrage'"),
        (["--jobs", "5", "--app", APP, "--task", "charge"], "give --cost openai=NUMBER"),
    ],
)
def test_what_cannot_be_simulated_is_refused_with_the_remedy(words: list[str], why: str) -> None:
    result = run(*words)

    assert isinstance(result.exception, RunnerError)
    assert why in str(result.exception)


def test_a_course_in_json() -> None:
    fields = course("--limit", "stripe=10/s,burst=20", "--jobs", "a:100,b:10", "--duration", "0.5", "--slots", "50")

    assert (fields["jobs"], fields["failed"], fields["drain_s"]) == (110, 0, 9.5)
    assert fields["slots"] == {"slots": 50, "most_running": 24, "utilisation": pytest.approx(55 / (50 * 9.5), abs=1e-4)}
    assert [tenant["tenant"] for tenant in fields["tenants"]] == ["a", "b"]
    assert fields["tenants"][1]["wait_max_s"] == pytest.approx(2, abs=0.1)
    assert fields["limits"] == [
        {"limit": "stripe", "kind": "token_bucket", "buckets": 1, "window_s": 1.0, "worst": 30, "bound": 30, "utilisation": 1.0}
    ]
    assert sum(fields["starts"]["counts"]) == 110


def test_fair_shares_can_be_weighted_or_done_without() -> None:
    words = ("--limit", "stripe=10/s", "--jobs", "a:300,b:300@1")

    fair, weighted, first_come = course(*words), course(*words, "--weights", "b=4"), course(*words, "--first-come")

    waits = [fields["tenants"][1]["wait_p50_s"] for fields in (weighted, fair, first_come)]
    assert waits == sorted(waits)
    assert len(set(waits)) == 3


def test_a_file_gives_each_group_its_own_time_cost_and_duration(tmp_path: Path) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text(
        '{"tenant": "t7", "count": 3, "at": 2, "duration": 0.4, "cost": {"openai": 500}}\n\n{"tenant": "t8", "count": 1}\n',
        encoding="utf-8",
    )

    fields = course("--limit", "openai=500/s", "--file", str(file), "--duration", "9", "--cost", "openai=100")

    assert fields["drain_s"] == 9.0
    assert [(tenant["tenant"], tenant["first_start_s"], tenant["last_start_s"]) for tenant in fields["tenants"]] == [
        ("t7", 2.0, 4.0),
        ("t8", 0.0, 0.0),
    ]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("nonsense", "line 2: the line: Invalid JSON"),
        ('{"tenant": 7}', "line 2: tenant: "),
        ('{"count": 0}', "line 2: count: "),
        ('{"at": -1}', "line 2: at: "),
        ('{"duraton": 1}', "line 2: duraton: "),
    ],
)
def test_a_line_that_is_not_understood_is_named(tmp_path: Path, line: str, why: str) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text(f"{{}}\n{line}\n", encoding="utf-8")

    result = run("--limit", "x=1/s", "--file", str(file))

    assert isinstance(result.exception, ConfigurationError)
    assert f"{file}, {why}" in str(result.exception)


def test_limits_come_from_the_code_of_a_task(tmp_path: Path) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text('{"tenant": "a", "count": 50, "args": {"tokens": 100, "model": "small"}}\n', encoding="utf-8")

    own = course("--app", APP, "--task", "charge", "--file", str(file))
    doubled = course("--app", APP, "--task", "charge", "--file", str(file), "--limit", "stripe=20/s,burst=20")

    assert [limit["limit"] for limit in own["limits"]] == ["stripe", "openai"]
    assert own["drain_s"] == pytest.approx(4.0)
    assert doubled["drain_s"] == pytest.approx(4.0)
    assert [limit["worst"] for limit in own["limits"]] == [20, 2000]


def test_without_a_name_the_only_task_is_taken() -> None:
    with pytest.raises(UnknownTask, match="known: charge, render"):
        raise run("--app", APP, "--jobs", "5").exception or AssertionError


def test_the_text_shows_the_picture_the_tenants_and_the_limits() -> None:
    text = printed("--limit", "stripe=10/s,burst=20", "--limit", "gpu=concurrent:40", "--jobs", "a:100,b:10", "--duration", "0.5")

    assert text.startswith("110 jobs drained in 9.5 s\n")
    assert re.search(r"at most 22 *$", text, re.MULTILINE)
    assert re.search(r"^a +100 +0 s +9 s ", text, re.MULTILINE)
    assert re.search(r"^stripe +10/s, burst 20 +30 +30 +in any 1 s +100%", text, re.MULTILINE)
    assert re.search(r"^slots +24 +100 +at once +6%", text, re.MULTILINE)
    assert "this holds the jobs back: stripe." in text


def test_the_text_fits_a_narrow_terminal_and_shortens_many_tenants() -> None:
    jobs = ",".join(f"tenant {number:02}:{number + 1}" for number in range(30))

    result = run("--limit", "stripe=1/s", "--jobs", jobs, width=80)

    assert max(map(len, result.output.splitlines())) <= 80
    assert "and 10 more, which waited less" in result.output


def test_markup_in_the_name_of_a_tenant_is_only_text(tmp_path: Path) -> None:
    file, picture = tmp_path / "jobs.jsonl", tmp_path / "picture.svg"
    file.write_text(json.dumps({"tenant": "[red]<b>&\x00\x1b[31m", "count": 2}) + '\n{"tenant": "b"}\n', encoding="utf-8")

    text = printed("--limit", "x=1/s", "--file", str(file), "--svg", str(picture))

    assert "[red]<b>&" in text
    assert "\x1b" not in text
    assert any("[red]<b>&" in (element.text or "") for element in ET.parse(picture).iter())


def test_the_picture_has_every_start_and_the_bound(tmp_path: Path) -> None:
    picture = tmp_path / "picture.svg"

    text = printed("--limit", "stripe=10/s,burst=20", "--jobs", "a:100,b:10", "--duration", "0.5", "--svg", str(picture))

    assert f"The picture is in {picture}\n" in text
    root = ET.parse(picture).getroot()
    words = ["".join(element.itertext()) for element in root.iter() if element.tag.endswith("text")]
    assert "110 jobs drained in 9.5 s" in words
    assert any(word.startswith("stripe allows at most") for word in words)
    assert "30 of 30 in any 1 s" in words


@pytest.mark.parametrize("words", [["--jobs", "1"], ["--jobs", "1", "--limit", "y=quota:1/day,on_exhausted=fail"], ["--jobs", "a:3,b:2"]])
def test_small_courses_have_a_picture_too(tmp_path: Path, words: list[str]) -> None:
    picture = tmp_path / "picture.svg"

    printed("--limit", "x=concurrent:1", *words, "--svg", str(picture))

    ET.parse(picture)


def test_a_course_in_which_nothing_starts_is_told() -> None:
    text = printed("--limit", "x=quota:1/day,on_exhausted=fail", "--jobs", "a:3")

    assert text.startswith("3 jobs drained in 0 s, 2 of them failed on a spent quota\n")


def test_the_example_of_the_document_is_what_the_command_prints_and_draws(tmp_path: Path) -> None:
    document = page("simulate.md")
    command, expected = re.findall(r"```\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL)[:2]
    words = shlex.split(command.replace("\\\n", ""))
    assert words[:4] == ["python", "-m", "runner", "simulate"]
    picture = tmp_path / Path(words[-1]).name

    result = run(*words[4:-1], str(picture), width=80)

    assert [line.rstrip() for line in result.output.splitlines()][:-2] == expected.splitlines()
    assert picture.read_text(encoding="utf-8") == page(picture.name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("microseconds", "words", "brief"),
    [
        (None, "-", "-"),
        (0, "0 s", "0 s"),
        (1, "0.001 ms", "0.001 ms"),
        (99_000, "99 ms", "99 ms"),
        (350_000, "0.35 s", "0.35 s"),
        (9 * S, "9 s", "9 s"),
        (12_340_000, "12.3 s", "12.3 s"),
        (59_990_000, "60 s", "60 s"),
        (101 * S, "1 min 41 s", "1 min 41 s"),
        (11 * 60 * S + 46 * S, "11 min 46 s", "12 min"),
        (12_000 * S, "3 h 20 min", "3 h 20 min"),
        (3_599_900_000, "1 h", "1 h"),
        (52 * 3_600 * S, "2 d 4 h", "2 d 4 h"),
    ],
)
def test_durations_are_said_as_people_say_them(microseconds: int | None, words: str, brief: str) -> None:
    assert in_words(microseconds) == words
    assert in_words(microseconds, brief=True) == brief


@pytest.mark.parametrize("span_us", [1, 999, S, 59 * S, 3_601 * S, 40 * 86_400 * S, 10_000 * 86_400 * S])
def test_bars_are_of_a_round_width_and_not_too_many(span_us: int) -> None:
    width_us = tick_width(span_us, 60)

    assert 1 <= -(-span_us // width_us) <= 60
