"""The commands about schedules, as a user types them."""

import json

from tests.process.test_cli import CHARGE, Cli, cli, jobs

__all__ = ["cli", "jobs"]


async def test_a_schedule_is_added_shown_paused_run_and_removed(cli: Cli) -> None:
    assert "no schedules: declare them" in (await cli.done("schedules", "list")).out
    added = await cli.done("schedules", "add", "daily", "charge", CHARGE, "--cron", "30 2 * * *", "--tz", "Europe/Berlin")
    assert "daily: charge 30 2 * * * Europe/Berlin, added at run time, active" in added.out
    options = {"cost": {"pay": 2}, "deadline": 60.0, "max_wait": 5.0, "metadata": {"by": "import"}, "pool": "gpu", "tags": ["a", "b"]}
    words = ["--cost", "pay=2", "--deadline", "60", "--max-wait", "5", "--pool", "gpu", "--tag", "a", "--tag", "b", "--metadata"]
    given = ("schedules", "add", "other", "charge", CHARGE, "--every", "3600", *words, '{"by": "import"}')
    assert json.loads((await cli.done(*given, "--json")).out)["options"] == options
    await cli.done("schedules", "remove", "other")
    shown = (await cli.done("schedules", "show", "daily", "--next", "3")).out
    assert shown.count("  next ") == 3
    assert "02:30:00+0" in shown
    assert "paused since" in (await cli.done("schedules", "pause", "daily", "--reason", "on holiday")).out
    job_id = (await cli.done("schedules", "trigger", "daily")).out.strip()
    assert job_id.startswith("daily:by-hand-")
    assert "active" in (await cli.done("schedules", "resume", "daily")).out
    status = json.loads((await cli.done("schedules", "list", "--json")).out)
    assert (status["name"], status["last_job"], status["counts"]["made"]) == ("daily", job_id, 0)
    assert (await cli.done("schedules", "remove", "daily")).out.strip() == "removed schedule daily"


async def test_its_jobs_are_found_by_it_and_cancelled_with_it(cli: Cli) -> None:
    await cli.done("schedules", "add", "daily", "charge", CHARGE, "--cron", "@daily", "--pool", "away")
    ids = [(await cli.done("schedules", "trigger", "daily")).out.strip() for _ in range(2)]
    listed = (await cli.done("jobs", "list", "--schedule", "daily", "--json")).out.splitlines()
    assert sorted(json.loads(line)["id"] for line in listed) == sorted(ids)
    removed = (await cli.done("schedules", "remove", "daily", "--cancel")).out
    assert removed.strip() == "removed schedule daily and cancelled its jobs that had not ended"
    assert "cancelled  2" in (await cli.done("jobs", "count", "--schedule", "daily")).out


async def test_what_is_said_of_its_jobs_is_shown_and_reaches_them(cli: Cli) -> None:
    of_jobs = ("--tag", "b", "--tag", "a", "--metadata", '{"source": "clock"}', "--unique", "all", "--pool", "gpu", "--max-wait", "60")
    added = (await cli.done("schedules", "add", "daily", "charge", CHARGE, "--every", "3600", *of_jobs)).out
    assert '"tags": ["a", "b"]' in added
    assert '"unique": {"duplicate": "return", "until": "end"}' in added
    job_id = (await cli.done("schedules", "trigger", "daily")).out.strip()
    assert (await cli.done("schedules", "trigger", "daily")).out.strip() == job_id, "it is unique"
    status = json.loads((await cli.done("jobs", "list", "--tag", "a", "--json")).out)
    assert (status["id"], status["pool"], status["metadata"]) == (job_id, "gpu", {"source": "clock"})
    for words, said in (
        (("--metadata", "[1]"), "metadata '[1]' is not a JSON object"),
        (("--cost", "stripe"), "cost 'stripe' is not understood"),
        (("--tag", "a b"), "tag 'a b' cannot be one"),
        (("--unique", "{nothing}"), "nothing"),
    ):
        answer = await cli("schedules", "add", "daily", "charge", CHARGE, "--every", "3600", *words)
        assert (answer.code, said in answer.err) == (2, True), answer


async def test_what_cannot_be_is_refused_with_the_value_and_the_remedy(cli: Cli) -> None:
    for words, code, said in (
        (("show", "nightly"), 3, "unknown schedule 'nightly'"),
        (("add", "x", "charge", CHARGE, "--cron", "*/61 * * * *"), 2, "step 61 is wider than the field minute"),
        (("add", "x", "charge", "{", "--every", "5"), 2, "is not JSON"),
        (("add", "x", "charge", CHARGE, "--every", "5", "--start", "soon"), 2, "--start is 'soon'"),
        (("add", "x", "chrage", CHARGE, "--every", "5"), 2, "unknown task 'chrage'"),
    ):
        answer = await cli("schedules", *words)
        assert answer.code == code, answer
        assert said in answer.err
