"""What the type checkers of users see of schedules: never run, read by mypy and pyright in strict mode. An ignore is an error they must find."""

from typing import Any, assert_type

from runner import AsyncTask, Client, ComingRun, HttpClient, JobHandle, JobOptions, Runner, ScheduleStatus

jobs = Runner("typing-schedules")


@jobs.cron("0 6 * * 1-5", tz="Europe/Berlin", args={"day": "today"}, missed="all", overlap="queue", options=JobOptions(priority="low"))
@jobs.every(3600, name="hourly", args={"day": "today"})
@jobs.task
async def report(day: str) -> int:
    return len(day)


checked: AsyncTask[[str], int] = report

jobs.cron("@daily", missed="some")  # type: ignore[arg-type]
jobs.every("often")  # type: ignore[arg-type]


async def use(client: Client, http: HttpClient) -> None:
    assert_type(await client.schedules.add("s", "report", {"day": "today"}, cron="@daily"), ScheduleStatus)
    assert_type(await http.schedules.add("s", "report", {"day": "today"}, every=60), ScheduleStatus)
    assert_type(await client.schedules.list(), list[ScheduleStatus])
    assert_type(await client.schedules.trigger("s"), JobHandle[Any])
    assert_type(await client.schedules.remove("s", cancel=True), ScheduleStatus)
    assert_type([*(await client.schedules.show("s")).coming(3)], list[ComingRun])


def use_plain(client: Client) -> None:
    assert_type(client.blocking.schedules.pause("s", "why"), ScheduleStatus)
