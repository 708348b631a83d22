"""Lists and counts of jobs over HTTP: by the routes, by HttpClient and by Client, and each caller's own alone."""

import base64
from typing import Any

import pytest

from runner import ConfigurationError, HttpClient, JobFilter, Runner, Worker
from runner.connection.client import command
from runner.http.app import create_app
from tests.app_internals import store_of
from tests.http.conftest import Service
from tests.http.test_keys import made, problem


async def submit(service: Service, headers: dict[str, str], count: int, prefix: str = "j", task: str = "add") -> list[str]:
    ids = [f"{prefix}{number}" for number in range(count)]
    jobs = [{"task": task, "args": {"left": 1} if task == "add" else {}, "id": job_id} for job_id in ids]
    answer = await service.http.post("/v1/jobs/batch", json={"jobs": jobs}, headers=headers)
    assert answer.status_code == 202, answer.text
    return ids


async def walk(service: Service, headers: dict[str, str], **query: Any) -> tuple[list[str], list[str]]:
    """The ids that a walk over all pages meets, and the cursors."""
    ids: list[str] = []
    cursors: list[str] = []
    while True:
        more = {"cursor": cursors[-1]} if cursors else {}
        answer = await service.http.get("/v1/jobs", params={**query, **more}, headers=headers)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        ids += [job["id"] for job in page["jobs"]]
        if page["cursor"] is None:
            return ids, cursors
        cursors.append(page["cursor"])


async def test_jobs_are_listed_by_pages_and_counted(service: Service, app: Runner) -> None:
    ids = await submit(service, {}, 25)
    await service.http.delete("/v1/jobs/j3")
    assert (await walk(service, {}, state="queued", most=10))[0] == [one for one in reversed(ids) if one != "j3"]
    assert sorted((await walk(service, {}, most=7))[0]) == sorted(ids)
    counts = (await service.http.get("/v1/counts")).json()
    assert (counts["queued"], counts["cancelled"], counts["succeeded"], counts["is_complete"]) == (24, 1, 0, True)
    counts = (await service.http.get("/v1/counts", params={"id_prefix": "j1"})).json()
    assert (counts["queued"], counts["cancelled"], counts["succeeded"]) == (11, 0, 0)
    assert (await service.http.get("/v1/dead-letters")).json() == {"groups": []}
    by_id = (await service.http.get("/v1/jobs", params={"id": ["j3", "none"]})).json()
    assert [job and job["state"] for job in by_id["jobs"]] == ["cancelled", None]


async def test_those_that_succeeded_are_counted_of_a_day_and_of_a_filter_as_they_are_listed(
    service: Service, app: Runner, worker: Worker
) -> None:
    handles = [await app.tasks["add"].submit(number) for number in range(3)]
    for handle in handles:
        await handle.result(timeout=20)
    await command(store_of(app).redis, "XTRIM", store_of(app).keys.history, "MAXLEN", "1")
    async with HttpClient(service.url) as over_http:
        for client in (over_http, app.client):
            counts = await client.job_counts()
            assert (counts.succeeded, counts.succeeded_since is not None) == (3, True)
            counts = await client.job_counts(JobFilter(task="add"))
            assert (counts.succeeded, counts.succeeded_since) == (1, None)


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/v1/jobs?most=0", "most"),
        ("/v1/jobs?most=501", "most"),
        ("/v1/jobs?cursor=", "cursor"),
        ("/v1/jobs?cursor=bm9uZQ", "cursor"),
        ("/v1/jobs?cursor=%00", "cursor"),
        ("/v1/jobs?state=lost", "state"),
        ("/v1/jobs?reason=boredom", "reason"),
        ("/v1/jobs?task=a*b", "task"),
        ("/v1/jobs?submitted_from=yesterday", "submitted_from"),
        ("/v1/jobs?ended_to=2030-01-31T12:00:00", "ended_to"),
        ("/v1/jobs?id=a&state=failed", "id"),
        ("/v1/jobs?stat=failed", "state"),
        ("/v1/counts?most=3", "most"),
        ("/v1/dead-letters?cursor=x", "cursor"),
    ],
)
async def test_a_question_that_cannot_be_is_refused_by_name(service: Service, path: str, named: str) -> None:
    answer = await service.http.get(path)
    assert problem(answer) == (422, "validation")
    assert named in answer.text


async def test_a_tenant_lists_and_counts_its_own_jobs_alone(app: Runner, service: Service) -> None:
    seven, eight, admin = await made(app, "operator", tenant="t7"), await made(app, "operator", tenant="t8"), await made(app)
    await submit(service, seven, 12, "mine")
    await submit(service, eight, 30, "other")
    await submit(service, admin, 5, "plain")

    ids, cursors = await walk(service, seven, most=5)
    assert sorted(ids) == sorted(f"mine{number}" for number in range(12))
    of_tenants = [f"t7/mine{number}" for number in range(12)] + [f"t8/other{number}" for number in range(30)]
    assert sorted((await walk(service, admin))[0]) == sorted([f"plain{number}" for number in range(5)] + of_tenants)
    assert sorted((await walk(service, seven, id_prefix="mine1"))[0]) == ["mine1", "mine10", "mine11"]
    assert (await walk(service, seven, id_prefix="t8"))[0] == []
    assert (await service.http.get("/v1/counts", headers=seven)).json()["queued"] == 12
    assert (await service.http.get("/v1/counts", headers=admin)).json()["queued"] == 47

    # A cursor tells nothing of the place it names, and is of use to no other key and no other question.
    for cursor in cursors:
        told = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        assert b"stream" not in told
        for headers, query in ((eight, {"most": 5}), (admin, {"most": 5}), (seven, {"state": "queued"})):
            answer = await service.http.get("/v1/jobs", params={**query, "cursor": cursor}, headers=headers)
            assert problem(answer) == (422, "validation")


async def test_a_key_for_some_tasks_lists_and_counts_these_alone(app: Runner, service: Service) -> None:
    some, admin = await made(app, "producer", tasks=["ad*"]), await made(app)
    await submit(service, admin, 4, "a")
    await submit(service, admin, 6, "b", task="held")
    assert sorted((await walk(service, some))[0]) == ["a0", "a1", "a2", "a3"]
    assert (await walk(service, some, task="held"))[0] == []
    assert (await service.http.get("/v1/counts", headers=some)).json()["queued"] == 4


async def test_a_key_without_the_right_to_read_jobs_lists_none(app: Runner, service: Service) -> None:
    headers = await made(app, None, scopes=["jobs:submit"])
    for path in ("/v1/jobs?state=queued", "/v1/jobs", "/v1/counts", "/v1/dead-letters"):
        assert problem(await service.http.get(path, headers=headers)) == (403, "forbidden")


async def test_the_verbs_of_both_clients_tell_the_same(app: Runner, service: Service) -> None:
    await submit(service, {}, 9)
    await service.http.delete("/v1/jobs/j3")
    question = JobFilter(state=["queued", "cancelled"], submitted_from=1.5, oldest_first=True)
    async with HttpClient(service.url) as over_http:
        for client in (over_http, app.client):
            page = await client.jobs(question, most=4)
            assert [status.id for status in page.jobs] == ["j0", "j1", "j2", "j4"]
            assert page.cursor is not None
            rest = await client.jobs(question, cursor=page.cursor, most=500)
            assert [status.id for status in rest.jobs] == ["j5", "j6", "j7", "j8", "j3"]
            assert rest.cursor is None
            counts = await client.job_counts()
            assert (counts.queued, counts.cancelled, counts.waiting_for["line"]) == (8, 1, 0)
            assert (await client.job_counts(question)).cancelled == 1
            assert await client.dead_letters() == []
            for wrong in ({"cursor": "none"}, {"most": 0}, {"most": 501}):
                with pytest.raises(ConfigurationError):
                    await client.jobs(**wrong)


async def test_no_id_of_a_job_is_taken_by_a_route(service: Service) -> None:
    for path in create_app().openapi()["paths"]:
        name = path.removeprefix("/v1/jobs/")
        if path == f"/v1/jobs/{name}" and "/" not in name and "{" not in name:
            answer = await service.http.get(path)
            assert (answer.status_code, answer.json()["detail"][:9]) == (404, "no job '" + name[0]), path
