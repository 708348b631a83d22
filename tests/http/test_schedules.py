"""Schedules by the client of Redis, by that of the HTTP service, and by the routes: what they return, and who may."""

from datetime import UTC, datetime, timedelta

import pytest

from runner import JobFilter, JobOptions, Runner, Unique, Worker
from runner.errors import InvalidArguments, InvalidOption, InvalidSchedule, ScheduleConflict, UnknownSchedule, UnknownTask
from tests.app_internals import publish
from tests.http.conftest import Service
from tests.http.test_both_clients import SOON_S, AnyClient, client
from tests.http.test_keys import bearer, made, problem

__all__ = ["client"]


async def test_a_schedule_is_added_changed_paused_run_and_removed(client: AnyClient, worker: Worker) -> None:
    schedules = client.schedules
    start = datetime.now(UTC) + timedelta(hours=2)
    options = JobOptions(priority="low")
    added = await schedules.add("report", "add", {"left": 2}, every=3_600, start=start, overlap="queue", options=options)
    assert (added.state, added.made) == ("active", 0)
    assert added.next_at == pytest.approx(start.timestamp())
    assert added.spec is not None
    assert (dict(added.spec.args), added.spec.options, added.spec.overlap) == ({"left": 2}, {"priority": "low"}, "queue")
    assert [run.at for run in added.coming(2)] == pytest.approx([start.timestamp(), start.timestamp() + 3_600])
    changed = await schedules.add("report", "add", {"left": 2}, cron="0 6 * * 1-5", tz="Europe/Berlin", jitter=5)
    assert changed.spec is not None
    assert changed.spec.words == "0 6 * * 1-5 Europe/Berlin"
    paused = await schedules.pause("report", "on holiday")
    assert (paused.state, paused.pause_reason, paused.next_at) == ("paused", "on holiday", None)
    job = await schedules.trigger("report")
    assert await job.result(timeout=SOON_S) == 3
    assert (await schedules.resume("report")).state == "active"
    (listed,) = await schedules.list()
    assert (listed.last_job, listed.last_state) == (job.id, "succeeded")
    assert (await schedules.remove("report")).name == "report"
    with pytest.raises(UnknownSchedule, match="unknown schedule 'report'"):
        await schedules.show("report")


async def test_each_change_over_http_is_the_act_of_its_caller(app: Runner, service: Service) -> None:
    new = await app.client.keys.create("ops", preset="operator")
    headers = {**bearer(new.secret), "x-request-id": "r-17"}
    path = "/v1/schedules/report"
    for method, at, body in (
        ("PUT", path, {"task": "add", "args": {"left": 2}, "cron": "@daily"}),
        ("POST", "/v1/schedules", {"name": "report", "task": "add", "args": {"left": 2}, "cron": "@hourly"}),
        ("POST", f"{path}/pause", {"reason": "on holiday"}),
        ("POST", f"{path}/trigger", {}),
        ("POST", f"{path}/resume", {}),
    ):
        assert (await service.http.request(method, at, headers=headers, json=body)).is_success
        if at.endswith("/pause"):
            assert (await app.client.schedules.show("report")).paused_by == f"key {new.key.id} ops"
    assert (await service.http.delete(path, headers=headers)).is_success

    lines = [line for line in await app.client.audit() if line.target == "schedule report"]
    assert [line.action for line in lines] == ["add", "change", "pause", "trigger", "resume", "remove"]
    assert {(line.by, line.address, line.request, line.door) for line in lines} == {(f"key {new.key.id} ops", "127.0.0.1", "r-17", "http")}


async def test_the_next_instants_of_those_that_run_soonest_are_told(service: Service, app: Runner) -> None:
    start = datetime.now(UTC) + timedelta(hours=1)
    await app.client.schedules.add("grid", "add", {"left": 2}, every=60, start=start)
    await app.client.schedules.add("yearly", "add", {"left": 2}, cron="@yearly")

    answer = (await service.http.get("/v1/schedules", params={"coming": 3})).json()["schedules"]
    grid, yearly = (next(one for one in answer if one["name"] == name) for name in ("grid", "yearly"))
    assert [datetime.fromisoformat(at) for at in grid["coming"]] == [start + timedelta(minutes=n) for n in range(3)]
    assert (len(yearly["coming"]), yearly["coming"][0]) == (3, yearly["next_at"])
    assert (await service.http.get("/v1/schedules")).json()["schedules"][0]["coming"] is None
    assert (await service.http.get("/v1/schedules", params={"coming": 1_000})).status_code == 422


async def test_the_jobs_of_a_schedule_have_its_options(client: AnyClient, app: Runner) -> None:
    options = JobOptions(priority="low", max_wait=5, deadline=60, pool="gpu", tags=("nightly", "report"), metadata={"by": "import"})
    added = await client.schedules.add("report", "add", {"left": 2}, cron="@daily", options=options)
    assert added.spec is not None
    assert JobOptions(**added.spec.options) == options._replace(tags=["nightly", "report"])

    status = await (await client.schedules.trigger("report")).status()

    assert (status.priority, status.pool, list(status.tags), status.metadata) == ("low", "gpu", ["nightly", "report"], {"by": "import"})
    assert status.deadline_at == pytest.approx((status.submitted_at or 0) + 60)
    with pytest.raises(InvalidSchedule, match="a schedule has no option 'delay'"):
        await client.schedules.add("report", "add", {"left": 2}, cron="@daily", options=JobOptions(delay=5))


async def test_its_jobs_that_have_not_ended_are_cancelled_with_it(client: AnyClient, app: Runner) -> None:
    schedules = client.schedules
    await schedules.add("s", "add", {"left": 2}, cron="@daily", options=JobOptions(pool="away"))
    await schedules.add("other", "add", {"left": 2}, cron="@daily")
    ids = [(await schedules.trigger("s")).id for _ in range(3)]
    stays = await schedules.trigger("other")
    own = await client.submit("add", {"left": 2}, JobOptions(id="s:mine", delay=60))
    assert sorted(job.id for job in (await client.jobs(JobFilter(schedule="s"))).jobs) == sorted(ids)
    assert (await client.job_counts(JobFilter(schedule="s"))).queued == 3

    await schedules.remove("s", cancel=True)

    assert [(await client.status(job_id)).state for job_id in ids] == ["cancelled"] * 3
    assert {(await job.status()).state for job in (stays, own)} == {"queued", "scheduled"}
    await schedules.add("s", "add", {"left": 2}, cron="@daily")
    job = await schedules.trigger("s")
    await schedules.remove("s")
    assert (await job.status()).state == "queued"


async def test_a_schedule_says_which_of_its_jobs_are_alike(client: AnyClient, worker: Worker) -> None:
    metadata = {"source": "clock", "deep": [{"n": None}]}
    options = JobOptions(tags=["b", "a"], metadata=metadata, unique=Unique("{left}", until=60), cost={})
    added = await client.schedules.add("s", "add", {"left": 2}, cron="@daily", options=options)
    assert added.spec is not None
    unique = {"key": "{left}", "until": 60, "duplicate": "return"}
    assert dict(added.spec.options) == {"tags": ["a", "b"], "metadata": metadata, "unique": unique, "cost": {}}
    assert await client.schedules.show("s") == added
    job = await client.schedules.trigger("s")
    status = await job.wait(SOON_S)
    assert (status.tags, status.metadata) == (("a", "b"), metadata)
    again = await client.schedules.trigger("s")
    assert (again.id, again.first_state) == (job.id, "existing")
    with pytest.raises(InvalidSchedule, match="come after no other"):
        await client.schedules.add("s", "add", {"left": 2}, cron="@daily", options=JobOptions(after=["x"]))
    with pytest.raises(InvalidSchedule, match="tag 'a b' cannot be one"):
        await client.schedules.add("s", "add", {"left": 2}, cron="@daily", options=JobOptions(tags=["a b"]))
    with pytest.raises(InvalidOption, match="pool"):
        await client.schedules.add("s", "add", {"left": 2}, cron="@daily", options=JobOptions(pool="a pool"))


@pytest.mark.parametrize(
    ("task", "given", "error"),
    [
        ("add", {"cron": "*/61 * * * *"}, InvalidSchedule),
        ("add", {"every": 0.1}, InvalidSchedule),
        ("add", {"cron": "@daily", "tz": "Mars/Base"}, InvalidSchedule),
        ("add", {"cron": "@daily", "start": datetime(2030, 1, 1)}, InvalidSchedule),  # noqa: DTZ001 - that is refused
        ("nothing", {"cron": "@daily"}, UnknownTask),
        ("echo", {"cron": "@daily"}, InvalidArguments),
    ],
)
async def test_what_cannot_run_is_refused_with_the_same_error(
    client: AnyClient, task: str, given: dict[str, object], error: type[Exception]
) -> None:
    args = {} if task == "echo" else {"left": 2}
    with pytest.raises(error):
        await client.schedules.add("bad", task, args, **given)  # type: ignore[arg-type] # what is wrong is passed on purpose
    for name in ("resume", "pause", "trigger", "remove", "show"):
        with pytest.raises(UnknownSchedule):
            await getattr(client.schedules, name)("nobody")


async def test_what_code_declares_is_not_changed_by_a_request(app: Runner, service: Service) -> None:
    app.cron("@daily", args={"left": 1}, name="in-code")(app.tasks["add"])
    await publish(app)
    body = {"task": "add", "args": {"left": 1}, "cron": "@weekly"}
    assert problem(await service.http.put("/v1/schedules/in-code", json=body)) == (409, "schedule-conflict")
    with pytest.raises(ScheduleConflict):
        await app.client.schedules.add("in-code", "add", {"left": 1}, cron="@weekly")
    answer = await service.http.post("/v1/schedules/in-code/pause", json={"reason": "enough"})
    assert (answer.json()["in_code"], answer.json()["paused"]["reason"]) == (True, "enough")


async def test_schedules_need_their_rights_and_a_key_for_some_tasks_sees_those(app: Runner, service: Service) -> None:
    producer, tenant = await made(app, "producer"), await made(app, "operator", tenant="t7")
    observer, some, operator = await made(app, "observer"), await made(app, "operator", tasks=["echo"]), await made(app, "operator")
    body = {"name": "s", "task": "add", "args": {"left": 1}, "cron": "@daily", "options": {"tags": ["a"], "metadata": {"secret": 1}}}
    for headers in (producer, tenant):
        assert problem(await service.http.get("/v1/schedules", headers=headers)) == (403, "forbidden")
    for headers in (producer, tenant, observer, some):
        assert problem(await service.http.post("/v1/schedules", headers=headers, json=body)) == (403, "forbidden")
    assert (await service.http.post("/v1/schedules", headers=operator, json=body)).json()["state"] == "active"
    (seen,) = (await service.http.get("/v1/schedules", headers=observer)).json()["schedules"]
    assert (seen["name"], seen["args"], seen["options"]) == ("s", None, {"tags": ["a"]})
    assert (await service.http.get("/v1/schedules", headers=some)).json() == {"schedules": []}
    for method, verb in (("GET", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume"), ("POST", "/trigger")):
        assert problem(await service.http.request(method, f"/v1/schedules/s{verb}", headers=some)) == (403, "forbidden")
    answer = await service.http.post("/v1/schedules/s/trigger", headers=operator)
    assert (answer.status_code, answer.json()["id"].partition(":by-hand-")[0]) == (202, "s")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"task": "add", "cron": "* * *"}, "bad-schedule"),
        ({"task": "add"}, "bad-schedule"),
        ({"task": "add", "cron": "@daily", "overlap": "some"}, "validation"),
        ({"task": "add", "cron": "@daily", "start": 7}, "validation"),
        ({"task": "add", "cron": "@daily", "more": 1}, "validation"),
        ({"task": "add", "cron": "@daily", "options": {"after": ["x"]}}, "validation"),
        ({"task": "add", "cron": "@daily", "options": {"delay": 5}}, "validation"),
        ({"task": "add", "cron": "@daily", "options": {"tags": ["a b"]}}, "bad-schedule"),
        ({"task": "add", "cron": "@daily", "options": {"unique": {"until": "end", "duplicate": "replace"}}}, "bad-schedule"),
    ],
)
async def test_a_body_that_makes_no_sense_is_refused(service: Service, body: dict[str, object], kind: str) -> None:
    assert problem(await service.http.put("/v1/schedules/s", json=body)) == (422, kind)


async def test_a_field_that_there_is_not_is_answered_with_those_of_its_place(service: Service) -> None:
    body = {"task": "add", "cron": "@daily", "options": {"delay": 5, "unique": {"untill": "end"}}}
    faults = (await service.http.put("/v1/schedules/s", json=body)).json()["errors"]
    told = {fault["pointer"]: fault["detail"] for fault in faults if "unknown field" in fault["detail"]}
    assert told["#/options/delay"].startswith(
        "unknown field; the fields are priority, max_wait, deadline, cost, pool, unique, tags, metadata"
    )
    assert any(detail.startswith("unknown field; the fields are key, until, duplicate") for detail in told.values())
