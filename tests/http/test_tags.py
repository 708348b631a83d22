"""Tags and metadata: given over HTTP, by both clients and from code, told by the status, had by the handler, and found by each caller alone."""

from dataclasses import replace
from typing import Any

import pytest

from runner import Client, HttpClient, JobFilter, JobOptions, JobRequest, NewJob, Runner, current_job
from runner.errors import InvalidOption
from runner.http.forms import MOST_METADATA, MOST_TAGS, TAG
from runner.jobs import metadata as stored_metadata
from runner.jobs import tags as checked
from tests.http.conftest import Gate, Service, both_clients, make_app, working
from tests.http.test_keys import made, problem
from tests.http.test_listing import walk

LATER = {"task": "add", "args": {"left": 1}, "delay": 60}
OPTIONS = JobOptions(delay=60, tags=["invoice", "customer:17"], metadata={"source": "é", "deep": [{"n": None}]})


client = both_clients()


async def test_both_are_told_by_the_status_and_jobs_are_found_by_a_tag(client: Client | HttpClient, app: Runner) -> None:
    await client.submit("add", {"left": 1}, OPTIONS._replace(id="one"))
    two = JobRequest("add", {"left": 1}, OPTIONS._replace(id="two", tags=("invoice",)))
    await client.submit_many([two, JobRequest("add", {"left": 2}, JobOptions())])

    status = await client.status("one")
    assert replace(status, eta_s=None) == replace(await app.client.status("one"), eta_s=None)
    assert (status.tags, status.metadata) == (("invoice", "customer:17"), {"source": "é", "deep": [{"n": None}]})
    assert [job.id for job in (await client.jobs(JobFilter(tag="invoice"))).jobs] == ["two", "one"]
    assert [job.tags for job in (await client.jobs(JobFilter(tag="customer:17", state="scheduled"))).jobs] == [("invoice", "customer:17")]
    assert (await client.job_counts(JobFilter(tag="invoice"))).scheduled == 2
    again = await client.submit("add", {"left": 1}, JobOptions(id="one", tags=["new"], metadata={"new": 1}))
    assert (again.first_state, (await client.status("one")).tags) == ("existing", ("invoice", "customer:17"))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"tags": "invoice"}, "tags are 'invoice': give a list of words"),
        ({"tags": ["a b"]}, "tag 'a b' cannot be one: give 1 to 64 ASCII"),
        ({"tags": [""]}, "tag '' cannot be one"),
        ({"tags": ["x" * 65]}, "cannot be one"),
        ({"tags": [3]}, "tag 3 cannot be one"),
        ({"tags": [["a"]]}, "cannot be one"),
        ({"tags": [str(number) for number in range(9)]}, "9 tags are too many: a job may have 8"),
        ({"metadata": [1]}, r"metadata is \[1\]: give values by name"),
        ({"metadata": {"a": {1}}}, "metadata 'a' is [{]1[}]: give by name what JSON has"),
        ({"metadata": {"a": float("nan")}}, "metadata 'a' is nan"),
        ({"metadata": {"a": "\ud800"}}, "metadata 'a' is"),
        ({"metadata": {1: "a"}}, "metadata 1 is 'a'"),
        ({"metadata": {"a": "x" * 4_096}}, "metadata has 4104 bytes of JSON, and may have 4096"),
    ],
)
async def test_what_can_be_neither_is_refused(client: Client | HttpClient, options: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidOption, match=told):
        await client.submit("add", {"left": 1}, JobOptions(**options))


@pytest.mark.parametrize(
    "fields",
    [{"tags": ["a b"]}, {"tags": ["é"]}, {"tags": list("abcdefghi")}, {"tags": "a"}, {"metadata": {"a": "x" * 4_096}}, {"metadata": [1]}],
)
async def test_over_http_it_is_a_422_that_says_why(service: Service, fields: dict[str, Any]) -> None:
    answer = await service.http.post("/v1/jobs", json={**LATER, **fields})
    assert answer.status_code == 422, answer.text
    assert next(iter(fields)).rstrip("s") in answer.text


def test_the_contract_says_what_the_client_takes() -> None:
    assert (MOST_TAGS, MOST_METADATA) == (checked.MOST_TAGS, stored_metadata.MOST_METADATA)
    assert TAG["json_schema_extra"]["pattern"] == f"^{checked._TAG.pattern}$"


async def test_a_handler_has_what_the_submission_and_hooks_gave(redis_url: str, queue: str, gate: Gate, app: Runner) -> None:
    own = make_app(queue, app.settings, gate)

    @own.on_submit
    def release(job: NewJob) -> None:
        job.metadata["release"] = f"7 of {job.metadata}"

    @own.task
    async def told() -> dict[str, Any]:
        return current_job().metadata

    expected = {"source": "import", "deep": [1], "release": "7 of {'source': 'import', 'deep': [1]}"}
    async with working(own):
        job = await told.with_options(metadata={"source": "import", "deep": [1]}, tags=["x"]).submit()
        assert await job.result(timeout=10) == expected
        status = await job.status()
        assert (status.metadata, status.tags) == (expected, ("x",))
        by_name = await own.client.submit("told", {}, JobOptions(metadata={"source": 1}))
        assert await by_name.result(timeout=10) == {"source": 1}
    await own.close()


async def test_a_hook_that_asks_for_too_much_costs_no_job_its_own(app: Runner) -> None:
    @app.on_submit
    def much(job: NewJob) -> None:
        job.metadata["much"] = "x" * 4_090

    job = await app.tasks["add"].with_options(metadata={"own": 1}, delay=60).submit(1)
    assert (await job.status()).metadata == {"own": 1}


async def test_tenants_find_their_own_jobs_by_a_tag_and_an_admin_those_of_all(app: Runner, service: Service) -> None:
    seven, eight, admin = await made(app, "operator", tenant="t7"), await made(app, "operator", tenant="t8"), await made(app)
    for headers, job_id in ((seven, "a"), (eight, "b"), (seven, "c"), (admin, "d")):
        answer = await service.http.post("/v1/jobs", json={**LATER, "id": job_id, "tags": ["x", job_id]}, headers=headers)
        assert answer.status_code == 202, answer.text

    assert (await walk(service, seven, tag="x", most=1))[0] == ["c", "a"]
    assert (await walk(service, eight, tag="x"))[0] == ["b"]
    assert (await walk(service, eight, tag="a"))[0] == []
    assert (await walk(service, admin, tag="x"))[0] == ["d", "t7/c", "t8/b", "t7/a"]
    assert (await service.http.get("/v1/counts", params={"tag": "x"}, headers=seven)).json()["scheduled"] == 2


async def test_a_key_that_sees_no_arguments_sees_tags_and_no_metadata(app: Runner, service: Service) -> None:
    blind = await made(app, "observer")
    await app.client.submit("add", {"left": 1}, OPTIONS._replace(id="b"))

    told = (await service.http.get("/v1/jobs/b", headers=blind)).json()
    listed = (await service.http.get("/v1/jobs", params={"tag": "invoice"}, headers=blind)).json()["jobs"]
    assert [(job["tags"], job["metadata"]) for job in (told, *listed)] == [(["invoice", "customer:17"], {})] * 2
    assert problem(await service.http.get("/v1/jobs", params={"tag": "a b"}, headers=blind)) == (422, "validation")
