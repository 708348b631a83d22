"""The commands that ask and change, as a user gives them: what they print, on which stream, and how they exit."""

import asyncio
import json
import os
import re
import shlex
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from runner import (
    CallersClient,
    Concurrency,
    JobOptions,
    Principal,
    Quota,
    Runner,
    Scope,
    SlidingWindow,
    TokenBucket,
    Worker,
    load_settings,
)
from tests.eventually import PATIENCE_S, eventually

CHARGE = '{"order": "o-17", "tenant": "t7"}'


WRONG = [
    ("limits show stirpe", 3, "'stirpe'.*known: gpu, lookups, pay"),
    ("limits set stirpe --rate 1/s", 3, "'stirpe'"),
    ("limits freeze stirpe 5", 3, "'stirpe'"),
    ("limits reset stirpe", 3, "'stirpe'"),
    ("limits reset pay t7", 2, "no key"),
    ("limits set pay", 2, "no number was given"),
    ("limits set pay --rate often", 2, "'often' is not understood"),
    ("limits set pay --burst 0", 2, "burst is 0"),
    ("limits set pay --burst many", 2, "'--burst'"),
    ("limits set gpu --rate 1/s", 2, "has no number 'rate'"),
    ("limits set search --per nan", 2, "per is nan"),
    ("limits set pay --rate 1/s --duration -1", 2, "'--duration': '-1' is negative: give a time from 0"),
    ("limits set pay --speed 1", 2, "--speed"),
    ("limits freeze pay inf", 2, "duration is inf"),
    ("limits freeze pay soon", 2, "'soon'"),
    ("limits set pay --every 3", 2, "is smooth, and has no every"),
    ("limits freeze pay -- -5", 2, "duration is -5"),
    ("limits freeze pay", 2, "'duration'"),
    ("limits freeze pay/t7 5", 2, "no key"),
    ("limits pause pay --reason \udcff", 2, "reason"),
    ("pause task chrage", 2, "did you mean 'charge'"),
    ("pause lane x", 2, "queue, task, pool, key"),
    ("pause queue x", 2, "leave out the name"),
    ("pause task", 2, "needs its name"),
    ("pause key stirpe/x", 3, "'stirpe'"),
    ("pause key pay", 2, "limits pause pay"),
    ("pause queue --for never", 2, "never"),
    ("pause queue --until tomorrow", 2, "2026-11-30T06:00:00Z"),
    ("pause queue --until 2096-11-30T06:00:00Z", 2, "at most 366 days"),
    ("pause queue --until 2096-11-30T06:00:00", 2, "no time zone"),
    ("pause queue --for 1h --until 2096-11-30T06:00:00Z", 2, "one of them"),
    ("resume lane", 2, "queue, task, pool, key"),
    ("keys revoke nobody", 3, "unknown key 'nobody'"),
    ("keys create x --preset root", 2, "no preset 'root'"),
    ("keys create x", 2, "give a preset"),
    ("audit --since soon", 2, "'soon'"),
    ("history charge", 2, "series 'charge' is none"),
    ("history --since 3d", 2, "ask by the hour"),
    ("history --step week", 2, "'week'"),
    ("tasks remove nobody", 2, "unknown task .nobody."),
    ("tasks remove charge", 1, "served by a live worker"),
    ("limits thaw pay", 2, "'thaw'"),
    ("explain nobody", 3, "'nobody'"),
    ("retry nobody", 3, "'nobody'"),
    ("cancel {x}", 2, "'{x}' cannot be used"),
    ("submit charge [1]", 2, "not a JSON object"),
    ("submit charge {} --cost pay", 2, "limit=tokens"),
    ("submit render {} --cost pay=1", 3, "no limit 'pay'"),
    ("submit chrage", 2, "'chrage'"),
    ("submit render --max-wait 0", 2, "max_wait is 0"),
    ("submit render --deadline 0", 2, "deadline of a job is 0"),
    ("submit render --run-at soon", 2, "--run-at is 'soon': give an instant with a time zone"),
    (
        "submit render --run-at 2026-11-30T06:00:00",
        2,
        "--run-at is '2026-11-30T06:00:00', and has no time zone: write 2026-11-30T06:00:00Z",
    ),
    ("explain x --redis-url redis://127.0.0.1:1", 4, "not available"),
]
"""Words, the exit code, and what is said."""


@dataclass(frozen=True)
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def rows(self) -> dict[str, str]:
        """The lines of a table by their first word."""
        return {line.split()[0]: line for line in self.out.splitlines()}


class Cli:
    """A process that runs commands, on the queue of the test."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def __call__(self, *words: str) -> Said:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(words).encode() + b"\n")
        async with asyncio.timeout(PATIENCE_S):
            return Said(**json.loads(await self._process.stdout.readline()))

    async def done(self, *words: str) -> Said:
        """A command that must succeed, and complain of nothing."""
        said = await self(*words)
        assert (said.code, said.err) == (0, ""), said
        return said


@pytest.fixture
async def jobs(redis_url: str, queue: str) -> AsyncIterator[Runner]:
    """An app whose tokens come back in an hour, with a worker that runs it."""
    app = Runner(queue, settings=load_settings(redis_url=redis_url, concurrency=5, drain_s=0.5))
    kinds = [SlidingWindow("search", 5, per=60), Concurrency("gpu", 3), Quota("lookups", 100, per="month", tz="Europe/Berlin")]
    tenant = TokenBucket("tenant", rate="100/s", key="{tenant}")
    mended = asyncio.Event()

    @app.task(limits=[TokenBucket("pay", rate="1/h", burst=2), tenant])
    async def charge(order: str, tenant: str) -> str:
        return f"charged {order}"

    @app.task(limits=kinds)
    async def render() -> None: ...

    @app.task(retries=0)
    async def brittle() -> str:
        if not mended.is_set():
            mended.set()
            raise ValueError("card declined")
        return "mended"

    worker = Worker(app)
    running = asyncio.create_task(worker.run(), name="worker")
    async with asyncio.timeout(PATIENCE_S):
        await worker.wait_until_working()
    yield app
    worker.stop()
    worker.stop()
    await running
    await app.close()


def environment(**variables: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("RUNNER_")} | variables


@pytest.fixture
async def cli(redis_url: str, queue: str, jobs: Runner, tmp_path: Path) -> AsyncIterator[Cli]:
    (tmp_path / "shop.py").write_text(f"from runner import Runner\njobs = Runner({queue!r})\n")
    async with session(tmp_path, RUNNER_REDIS_URL=redis_url, RUNNER_APP="shop:jobs") as cli:
        yield cli


@asynccontextmanager
async def session(folder: Path, **variables: str) -> AsyncIterator[Cli]:
    """A process that runs commands, with these variables of the environment."""
    root = str(Path(__file__).parents[2])
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.process.cli_session",
        stdin=PIPE,
        stdout=PIPE,
        cwd=folder,
        env=environment(PYTHONPATH=root, **variables),
    )
    yield Cli(process)
    await process.communicate(b"")


async def line_up(cli: Cli, *ids: str) -> None:
    """Spend both tokens of `pay`, then let these jobs wait for it."""
    for _ in range(2):
        assert (await cli.done("submit", "charge", CHARGE, "--wait", "10", "--json")).json["state"] == "succeeded"
    for job_id in ids:
        assert (await cli.done("submit", "charge", CHARGE, "--id", job_id, "--json")).json["state"] == "waiting"


async def test_limits_are_listed_in_columns(cli: Cli) -> None:
    said = await cli.done("limits", "list")
    head, *rows = said.out.splitlines()
    assert re.split(r"\s\s+", head) == ["LIMIT", "ALLOWS", "TOKENS", "WAITING", "NEXT TOKEN", "STATE", "NOTE"]
    assert re.split(r"\s\s+", said.rows["gpu"]) == ["gpu", "3 at once", "3 of 3", "0", "idle"]
    assert "1/h, burst 2" in said.rows["pay"]
    assert "100/month (Europe/Berlin)" in said.rows["lookups"]
    column = head.index("ALLOWS")
    assert all(row[column - 1] == " " != row[column] for row in rows)
    listed = [json.loads(line)["name"] for line in (await cli.done("limits", "list", "--json")).out.splitlines()]
    assert listed == ["gpu", "lookups", "pay", "search", "tenant"]


async def test_the_whole_queue_is_shown_at_a_glance(cli: Cli) -> None:
    await line_up(cli, "first", "second")
    said = (await cli.done("top")).out.splitlines()
    assert said[1].startswith("2 jobs wait at 1 limit. The lines that move are clear in ")
    assert "waiting 2 (tokens 2)" in said[2]
    (pay,) = [line for line in said if line.startswith("pay ")]
    assert "│█ " in pay
    assert "▐ at limit" in pay
    assert (await cli.done("top", "--once")).out.splitlines()[1].startswith("2 jobs wait at 1 limit.")
    assert (await cli.done("top", "--json")).json["jobs"]["waiting"] == 2
    watched = (await cli.done("limits", "show", "pay", "--watch")).out
    assert re.search(r"1 +first +charge +1 +normal", watched), watched


async def test_a_job_is_foretold_and_not_stored(cli: Cli) -> None:
    await line_up(cli, "first")

    said = (await cli.done("submit", "charge", CHARGE, "--dry-run")).out.splitlines()
    told = (await cli.done("submit", "charge", CHARGE, "--dry-run", "--json")).json

    assert said[:2] == ["charge  would be waiting", "  waits     for tokens of pay, place 2"]
    assert re.fullmatch(r"  starts    in about .*, ends in about .*", said[2]), said
    assert said[3].startswith("  earliest  in ")
    assert (told["state"], told["id"], told["position"], told["bucket"]) == ("waiting", None, 2, "pay")
    many = (await cli.done("submit", "charge", CHARGE, "--dry-run", "--count", "3")).out.splitlines()
    assert many[0] == "3 jobs  would be 3 waiting"
    assert re.fullmatch(r"  the last  starts in about .*, and has ended in about .*", many[1]), many
    counted = (await cli.done("submit", "charge", CHARGE, "--dry-run", "--count", "3", "--json")).json
    assert (counted["created"], [one["position"] for one in counted["jobs"]]) == (3, [2, 3, 4])
    assert (await cli("submit", "charge", CHARGE, "--count", "3")).code == 2
    late = await cli("submit", "charge", CHARGE, "--deadline", "60")
    assert (late.code, "give a later deadline" in late.err) == (2, True), late
    assert (await cli.done("top", "--json")).json["jobs"]["waiting"] == 1


async def test_a_limit_says_how_many_wait_and_at_how_many_buckets(cli: Cli) -> None:
    await line_up(cli, "first", "second")
    shown = await cli.done("limits", "show", "pay")
    assert shown.out.splitlines()[1] == "  2 jobs wait"
    assert re.split(r"\s\s+", shown.rows["pay"].strip())[1:3] == ["0 of 2", "2"]
    told = (await cli.done("limits", "show", "pay", "--json")).json
    counts = (told["waiting"], told["waiting_is_estimate"], told["waiting_buckets"], told["buckets_not_shown"])
    assert counts == (2, False, 1, 0)
    assert told["buckets"][0]["waiting_is_estimate"] is False


async def test_explain_names_limit_tokens_rate_place_and_eta(cli: Cli) -> None:
    await line_up(cli, "first", "second")
    told = (await cli.done("explain", "second")).out
    for word in (
        "Job second (charge) is waiting",
        "It waits for tokens of pay (1/h)",
        "no token is there",
        "the next lands in",
        "Its place is 2",
    ):
        assert word in told, told
    assert re.search(r"starts in about (2 h|1 h 59 min), at .*\d\d:\d\d:\d\d UTC", told), told
    assert told.splitlines()[-1].endswith("python -m runner limits show pay")
    assert (await cli.done(*told.splitlines()[-1].partition("runner ")[2].split())).rows["pay"]
    fields = (await cli.done("explain", "second", "--json")).json
    assert (fields["position"], fields["explanation"]) == (2, fields["explanation"])
    assert re.search(r"waits +for tokens of pay, place 2, in about", (await cli.done("status", "second")).out)


async def test_other_numbers_retime_those_who_wait_at_once(cli: Cli) -> None:
    await line_up(cli, "first", "second")
    said = (await cli.done("limits", "set", "pay", "--rate", "10/h", "--duration", "3000", "--reason", "sale")).out
    assert "overridden until" in said
    assert "sale; the code says 1/h, burst 2" in said
    first = (await cli.done("status", "first", "--json")).json
    assert 300 < first["eta_s"] <= 360
    assert "overridden until" in (await cli.done("explain", "first")).out

    shown = (await cli.done("limits", "set", "pay", "--rate", "1000/s", "--json")).json
    assert (shown["override"]["until"], shown["policy"]["capacity"]) == (None, 2)
    for job_id in ("first", "second"):
        assert (await cli.done("status", job_id, "--wait", "2", "--json")).json["state"] == "succeeded"
    assert (await cli.done("limits", "restore", "pay", "--json")).json["override"] is None


async def test_an_override_ends_by_itself(cli: Cli) -> None:
    said = (await cli.done("limits", "set", "pay", "--burst", "7", "--duration", "0.3", "--json")).json
    until = datetime.fromisoformat(said["override"]["until"])
    await eventually(lambda: datetime.now(UTC) > until)
    said = (await cli.done("limits", "show", "pay", "--json")).json
    assert (said["override"], said["policy"]["capacity"]) == (None, 2)


async def test_a_paused_task_says_why_and_goes_on_when_it_is_resumed(cli: Cli) -> None:
    assert (await cli.done("pauses")).out.startswith("nothing is paused")
    said = (await cli.done("pause", "task", "charge", "--reason", "invoice unpaid", "--for", "1h")).out
    assert re.search("^task charge is paused .* ago by cli:.*, until .* UTC: invoice unpaid$", said)
    await cli.done("submit", "charge", CHARGE, "--id", "held")
    assert "for the end of the pause of task charge" in (await cli.done("status", "held")).out
    told = (await cli.done("explain", "held")).out
    assert "invoice unpaid" in told
    rows = (await cli.done("pauses")).out.splitlines()
    assert re.search("^task charge .*UTC .*UTC .*invoice unpaid$", rows[1])
    assert (await cli.done("pauses", "--json")).json["reason"] == "invoice unpaid"
    assert "task charge (by cli:" in (await cli.done("doctor")).out
    resume = told.splitlines()[-1].partition("runner ")[2].split()
    assert resume == ["resume", "task", "charge"]
    assert (await cli.done(*resume)).out.startswith("task charge goes on")
    assert (await cli.done(*resume)).out == "task charge was not paused\n"
    assert (await cli.done("status", "held", "--wait", "20", "--json")).json["state"] == "succeeded"
    assert (await cli.done("pause", "queue", "--for", "0.2", "--json")).json["until_at"] > 0


async def test_a_paused_limit_says_why_and_goes_on_when_it_is_resumed(cli: Cli) -> None:
    assert re.search("paused .* ago: invoice unpaid", (await cli.done("limits", "pause", "pay", "--reason", "invoice unpaid")).out)
    await cli.done("submit", "charge", CHARGE, "--id", "held")
    told = (await cli.done("explain", "held")).out
    assert "was paused" in told
    assert "invoice unpaid" in told
    assert re.search("paused .* ago: invoice unpaid", (await cli.done("limits", "list")).rows["pay"])
    resume = told.splitlines()[-1].partition("runner ")[2].split()
    assert resume == ["limits", "resume", "pay"]
    await cli.done(*resume)
    assert (await cli.done("status", "held", "--wait", "5", "--json")).json["state"] == "succeeded"


async def test_a_reset_says_of_what_it_was_and_why(cli: Cli) -> None:
    said = (await cli.done("limits", "reset", "pay", "--reason", "a wrong number")).out
    assert re.search("pay reset .* ago: a wrong number", said), said
    assert (await cli.done("limits", "reset", "tenant", "t 7", "--json")).json["reset"]["bucket"] == "tenant/t%207"
    assert re.search("tenant/t%207 reset .* ago: no reason given", (await cli.done("limits", "show", "tenant")).out)


async def test_a_frozen_bucket_says_why_and_until_when(cli: Cli) -> None:
    said = (await cli.done("limits", "freeze", "pay", "600", "--reason", "trouble")).out
    assert re.search(r"frozen until .*UTC, for another (10|9) min.*: trouble", said), said
    await cli.done("submit", "charge", CHARGE, "--id", "held")
    told = (await cli.done("explain", "held")).out
    assert re.search(
        r"for the end of the freeze of pay \(1/h\): it is frozen until .*\d\d:\d\d:\d\d UTC, for another (10|9) min.*: trouble", told
    ), told
    release = told.splitlines()[-1].partition("runner ")[2].split()
    assert release == ["limits", "release", "pay"]
    await cli.done(*release)
    assert (await cli.done("status", "held", "--wait", "5", "--json")).json["state"] == "succeeded"


async def test_a_command_that_explain_tells_ends_the_freeze_of_a_whole_limit(cli: Cli, queue: str, redis_url: str) -> None:
    options = ["--app", "shop:jobs", "--redis-url", redis_url, "--queue", queue]
    await cli.done("limits", "freeze", "tenant", "600", "--reason", "sale")
    await cli.done("submit", "charge", CHARGE, "--id", "held")
    told = (await cli.done("explain", "held", *options)).out.splitlines()
    assert "the end of the freeze of tenant (100/s)" in told[1]
    command = shlex.split(told[-1].partition(": ")[2])
    assert command == ["python", "-m", "runner", "limits", "release", "tenant", *options]
    await cli.done(*command[3:])
    assert (await cli.done("status", "held", "--wait", "5", "--json")).json["state"] == "succeeded"


async def test_a_freeze_says_whether_it_is_of_a_bucket_or_of_a_whole_limit(cli: Cli) -> None:
    frozen = (await cli.done("limits", "freeze", "tenant/t 7", "60", "--json")).json
    assert (frozen["name"], frozen["frozen_s"]) == ("tenant", 0)
    assert (await cli.done("limits", "freeze", "tenant", "60", "--json")).json["frozen_reason"] is None
    assert (await cli.done("limits", "freeze", "tenant", "600", "--reason", "sale", "--json")).json["frozen_reason"] == "sale"


async def test_a_dead_letter_runs_again(cli: Cli) -> None:
    failed = await cli("submit", "brittle", "--id", "letter", "--wait", "10")
    assert failed.code == 1
    assert "card declined" in failed.out
    told = (await cli.done("explain", "letter")).out
    assert "ValueError: card declined" in told
    again = told.splitlines()[-1].partition("runner ")[2].split()
    assert again == ["retry", "letter"]
    await cli.done(*again)
    done = (await cli.done("status", "letter", "--wait", "10", "--json")).json
    assert (done["state"], done["result"]) == ("succeeded", "mended")
    refused = await cli("retry", "letter")
    assert (refused.code, refused.out, refused.err.count("\n")) == (1, "", 1)
    assert "succeeded" in refused.err
    assert (await cli.done("delete", "letter", "--reason", "mended")).out == "deleted job letter\n"
    assert (await cli("delete", "letter")).code == 3
    (line,) = [json.loads(text) for text in (await cli.done("audit", "--target", "job letter", "--json")).out.splitlines()][-1:]
    assert (line["action"], line["reason"], line["door"]) == ("delete", "mended", "cli")
    assert "delete  job letter  succeeded  because: mended" in (await cli.done("audit", "--target", "letter")).out


async def test_many_jobs_are_cancelled_and_deleted_by_what_they_have_in_common(cli: Cli) -> None:
    for number in range(3):
        await cli.done("submit", "brittle", "--id", f"later{number}", "--delay", "600")
    some = ("--task", "brittle", "--state", "scheduled")
    assert (await cli.done("jobs", "cancel", *some, "--dry-run")).out == "3 jobs to cancel\n"
    asked = await cli("jobs", "cancel", *some)
    assert (asked.code, asked.out) == (2, "")
    assert "nothing was done to 3 jobs: give --yes" in asked.err
    assert (await cli("jobs", "cancel")).code == 2
    assert "say which jobs to cancel, like --task charge --state" in (await cli("jobs", "cancel")).err
    assert "cannot be done to jobs that are failed" in (await cli("jobs", "cancel", "--state", "failed")).err
    assert (await cli.done("jobs", "cancel", *some, "--yes", "--reason", "not wanted")).out == "cancel: 3 done\n"
    assert (await cli.done("jobs", "retry", "--task", "nothing", "--yes")).out == "0 jobs to retry\n"
    done = (await cli.done("jobs", "delete", "--task", "brit*", "--state", "cancelled", "--yes", "--json")).json
    assert (done["phase"], done["counted"], done["done"]) == ("done", 3, 3)
    assert (await cli("status", "later0")).code == 3
    listed = (await cli.done("jobs", "bulk")).out
    assert "delete" in listed
    assert "task=brit*" in listed
    assert (await cli.done("jobs", "bulk", done["id"], "--json")).json["done"] == 3
    assert "3 done, 0 skipped  because: not wanted" in (await cli.done("audit", "--since", "1h")).out
    assert (await cli("jobs", "bulk", "nobody")).code == 3


async def test_a_job_gets_tags_and_metadata_and_is_found_by_them(cli: Cli) -> None:
    words = ("--delay", "600", "--tag", "invoice", "--tag", "customer:17", "--metadata", '{"source": "import"}')
    done = (await cli.done("submit", "brittle", "--id", "tagged", *words, "--json")).json
    assert (done["tags"], done["metadata"]) == (["invoice", "customer:17"], {"source": "import"})
    assert (await cli.done("jobs", "list", "--tag", "customer:17", "--json")).json["id"] == "tagged"
    told = (await cli.done("status", "tagged")).out
    assert "  tags      invoice customer:17\n" in told
    assert '  metadata  {"source": "import"}\n' in told
    for wrong in ("{", "[1]"):
        assert f"metadata '{wrong}' is not" in (await cli("submit", "brittle", "--metadata", wrong)).err
    assert "tag 'a b' cannot be one" in (await cli("submit", "brittle", "--tag", "a b")).err
    await cli.done("jobs", "cancel", "--tag", "invoice", "--yes")


async def test_stats_say_how_many_jobs_there_are_and_what_they_take(cli: Cli) -> None:
    for number in range(3):
        await cli.done("submit", "brittle", "--id", f"kept{number}", "--delay", "600")
    told = (await cli.done("stats", "--json")).json
    assert told["jobs"]["scheduled"] >= 3
    assert {"jobs scheduled", "catalog"} <= {one["kind"] for one in told["memory"]["kinds"]}
    assert told["memory"]["bytes"] > 1_000
    shown = (await cli.done("stats", "--full")).out
    assert "jobs scheduled" in shown
    await cli.done("submit", "charge", CHARGE, "--wait", "10")
    assert re.search(r"^succeeded +[1-9]\d* in the last 24 h, listed since ", (await cli.done("jobs", "count")).out, re.MULTILINE)
    assert "an estimate" in shown
    await cli.done("jobs", "cancel", "--id-prefix", "kept", "--yes")


async def test_submit_says_how_long_to_wait_and_what_it_costs(cli: Cli) -> None:
    await cli.done("submit", "charge", CHARGE, "--cost", "pay=2", "--cost", "tenant=3", "--wait", "10")
    late = await cli("submit", "charge", CHARGE, "--deadline", "60")
    assert (late.code, "at the earliest" in late.err) == (2, True), late
    later = (await cli.done("submit", "charge", CHARGE, "--run-at", "2026-01-01T06:00:00Z", "--deadline", "864000", "--json")).json
    assert later["deadline_at"] is not None
    expired = await cli("submit", "charge", CHARGE, "--max-wait", "0.2", "--wait", "10", "--json")
    assert (expired.code, expired.json["state"]) == (1, "expired")


async def test_ends_are_told_as_lines_and_from_an_id_on(cli: Cli) -> None:
    for order in ("o-1", "o-2"):
        await cli.done("submit", "charge", CHARGE.replace("o-17", order), "--id", order, "--wait", "10")
    await cli("submit", "brittle", "--id", "bad", "--wait", "10")
    said = await cli.done("events", "--after", "0", "--most", "2", "--json")
    first, second = map(json.loads, said.out.splitlines())
    assert (first["job_id"], first["state"], second["job_id"], second["task"]) == ("o-1", "succeeded", "o-2", "charge")
    (line,) = (await cli.done("events", "--after", first["id"], "--state", "failed", "--task", "brittle", "--most", "1")).out.splitlines()
    assert re.search(r"^\d+-\d+  2\S+\+00:00  brittle  bad  failed, attempt 1$", line), line
    wrong = await cli("events", "--state", "running")
    assert (wrong.code, wrong.out) == (2, "")
    assert "no job ends in the state 'running' (known: cancelled, expired, failed, succeeded)" in wrong.err


async def test_a_job_is_watched_to_its_end(cli: Cli) -> None:
    await cli("submit", "brittle", "--id", "bad", "--wait", "10")
    watched = await cli("watch", "bad")
    assert watched.code == 1
    assert watched.out.splitlines()[0] == "bad  brittle  failed"
    assert "ValueError: card declined" in watched.out

    await cli.done("submit", "charge", CHARGE, "--id", "good", "--wait", "10")
    *changes, end = map(json.loads, (await cli.done("watch", "good", "--json")).out.splitlines())
    assert [change["state"] for change in changes] == ["succeeded"]
    assert (end["state"], end["result"]) == ("succeeded", "charged o-17")
    assert (await cli("watch", "nobody")).code == 3


async def test_jobs_are_cancelled_and_workers_listed(cli: Cli, jobs: Runner) -> None:
    await line_up(cli, "held")
    assert (await cli.done("cancel", "held", "--json")).json["state"] == "cancelled"
    assert (await cli.done("cancel", "held")).out.startswith("held  charge  cancelled")
    told = await cli.done("workers")
    assert told.out.splitlines()[0].split() == [
        "WORKER",
        "HOST",
        "PID",
        "SLOTS",
        "BUSY",
        "STUCK",
        "DEFECTS",
        "STALL",
        "MEMORY",
        "VERSION",
        "LEADS",
    ]
    (row,) = told.out.splitlines()[1:]
    assert row.split()[2:4] == [str(os.getpid()), "5"]
    assert row.split()[-1] == "yes"
    assert (await cli.done("workers", "--json")).json["pid"] == os.getpid()
    assert (await cli.done("pools", "--json")).json["name"] == "default"
    assert "READERS" in (await cli.done("pools")).out


async def test_what_is_wrong_is_said_in_one_line(cli: Cli) -> None:
    for words, code, said in WRONG:
        answer = await cli(*words.split())
        assert (answer.code, answer.out) == (code, ""), (words, answer)
        assert re.fullmatch(rf"runner: [^\n]*{said}[^\n]*\n", answer.err), (words, answer.err)
    bare = await cli("limits")
    assert (bare.code, "freeze" in bare.out + bare.err) == (2, True)
    assert "Exit codes:" in (await cli.done("--help")).out


async def test_a_folder_without_a_server_of_its_own_is_served_by_dev_and_asked_by_others(tmp_path: Path) -> None:
    """Each in a process of its own, on the embedded server."""

    async def start(*words: str) -> Process:
        arguments = {"cwd": tmp_path, "env": environment(PYTHONPATH=str(Path(__file__).parents[2])), "stdout": PIPE, "stderr": PIPE}
        return await asyncio.create_subprocess_exec(sys.executable, "-m", "runner", *words, **arguments)  # type: ignore[arg-type]

    dev = await start("dev", "--port", "0")
    assert dev.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        while not (await dev.stdout.readline()).startswith(b"listening"):
            pass
    listed, unknown, done = await asyncio.gather(
        start("limits", "show", "metered"), start("limits", "show", "nobody"), start("submit", "add", '{"a": 1, "b": 2}', "--wait", "10")
    )
    out, err = await listed.communicate()
    assert (listed.returncode, out.decode().splitlines()[0], err) == (0, "metered: token bucket, 2/500ms, capacity 10; idle", b"")
    out, err = await unknown.communicate()
    assert (unknown.returncode, out, err.count(b"\n")) == (3, b"", 1)
    out, err = await done.communicate()
    assert (done.returncode, b"result    3.0" in out, err) == (0, True, b"")
    dev.send_signal(signal.SIGTERM)
    async with asyncio.timeout(PATIENCE_S):
        await dev.communicate()
    assert dev.returncode == 0


async def test_a_key_is_made_listed_rotated_and_revoked(cli: Cli) -> None:
    assert "no keys" in (await cli.done("keys", "list")).out
    made = await cli("keys", "create", "billing", "--preset", "producer", "--task", "charge", "--tenant", "t7", "--expires", "90d")
    assert made.code == 0
    secret = made.out.strip()
    key_id = secret.split("_")[1]
    assert secret not in made.err
    assert key_id in made.err
    row = re.split(r"\s\s+", (await cli.done("keys", "list")).rows[key_id])
    assert row[:4] == [key_id, "billing", "producer", "tasks charge, tenant t7"]
    listed = (await cli.done("keys", "list", "--json")).out
    assert secret.split("_")[2] not in listed
    assert "digest" not in listed

    rotated = (await cli.done("keys", "rotate", key_id, "--grace", "24h", "--json")).json["secret"]
    assert rotated != secret
    said = await cli.done("keys", "revoke", key_id, "--reason", "leaked")
    assert said.out == f"key {key_id} (billing) is revoked\n"
    assert "revoked 2" in (await cli.done("keys", "list")).rows[key_id]

    lines = [json.loads(line) for line in (await cli.done("audit", "--key", key_id, "--json")).out.splitlines()]
    assert [line["action"] for line in lines] == ["key created", "key rotated", "key revoked"]
    assert all(re.fullmatch(r"cli:.+@.+", line["by"]) for line in lines)
    assert (await cli.done("audit", "--since", "1h")).out.count("\n") == 3
    assert (await cli.done("audit", "--key", "nobodyyy")).out == ""


async def test_a_key_is_checked_from_standard_input(cli: Cli, redis_url: str, queue: str, tmp_path: Path) -> None:
    secret = (await cli.done("keys", "create", "ci", "--scope", "jobs:read", "--json")).json["secret"]
    root = str(Path(__file__).parents[2])
    for given, code, said in [(secret, 0, "(ci): jobs:read"), (secret[:-1], 1, "mistyped")]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "runner", "keys", "check"),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            cwd=tmp_path,
            env=environment(RUNNER_REDIS_URL=redis_url, RUNNER_APP="shop:jobs", PYTHONPATH=root),
        )
        out, err = await process.communicate(given.encode() + b"\n")
        assert (process.returncode, said in (out + err).decode(), secret in (out + err).decode()) == (code, True, False)


async def test_a_secret_among_the_words_of_a_command_is_not_said_again(cli: Cli) -> None:
    refused = await cli("keys", "check", "mr1_secret")

    assert (refused.code, "standard input" in refused.err, "mr1_secret" in refused.out + refused.err) == (2, True, False)


async def test_a_job_of_a_tenant_is_named_with_the_tenant(cli: Cli, jobs: Runner) -> None:
    seven = CallersClient(jobs.client, Principal("seven", frozenset(Scope), tenant="t7"))
    await seven.submit("charge", {"order": "o", "tenant": "t7"}, JobOptions(id="o-17", delay=60))

    assert (await cli.done("status", "t7/o-17", "--json")).json["state"] == "scheduled"
    assert (await cli("status", "o-17")).code == 3
    assert "o-17" in (await cli.done("explain", "t7/o-17")).out
    assert (await cli.done("cancel", "t7/o-17", "--json")).json["state"] == "cancelled"
    assert (await cli("cancel", "t 7/o-17")).code == 2
