"""Jobs that come after others, and batches, by both clients."""

import asyncio
import json

import pytest

from runner import BatchNotOpen, Client, HttpClient, JobFilter, JobOptions, JobRequest, Runner, State, Worker
from runner.errors import (
    BacklogFull,
    CannotRetry,
    ConfigurationError,
    Forbidden,
    InvalidJobId,
    InvalidOption,
    JobCancelled,
    UnknownBatch,
    UnknownJob,
    UnknownParent,
    UnknownTask,
)
from tests.http.conftest import Service, both_clients

AnyClient = Client | HttpClient
SOON_S = 20
LATER = JobOptions(delay=60)


client = both_clients()


async def test_a_job_comes_after_others(client: AnyClient, worker: Worker) -> None:
    del worker
    first = await client.submit("add", {"left": 1}, JobOptions(delay=1))
    job = await client.submit("add", {"left": 2}, JobOptions(id="f", after=[first.id], on_failure="run"))
    status = await job.status()
    assert (status.state, status.reason) == (State.waiting, "jobs")
    assert f"1 of 1 jobs: {first.id}" in " ".join(await client.explain(status))
    assert await job.result(SOON_S) == 3


async def test_what_cannot_be_followed_is_refused(client: AnyClient, service: Service) -> None:
    del service
    with pytest.raises(UnknownParent, match="nobody"):
        await client.submit("add", {"left": 1}, JobOptions(after=["nobody"]))
    for options in (JobOptions(after=[]), JobOptions(on_failure="run"), JobOptions(after=["a"], on_failure="stop")):  # type: ignore[arg-type]
        with pytest.raises(InvalidOption):
            await client.submit("add", {"left": 1}, options)
    wanted = [JobRequest("add", {"left": 1}), JobRequest("add", {"left": 1}, JobOptions(after=["nobody"]))]
    with pytest.raises(UnknownParent) as refused:
        await client.submit_many(wanted)
    assert refused.value.index == 1


async def test_a_retry_takes_a_flow_up_and_can_ignore_it(client: AnyClient, service: Service) -> None:
    del service
    first = await client.submit("add", {"left": 1}, JobOptions(delay=60))
    job = await client.submit("add", {"left": 2}, JobOptions(after=[first.id]))
    await first.cancel()
    with pytest.raises(JobCancelled):
        await job.result(SOON_S)
    with pytest.raises(CannotRetry, match="has not succeeded"):
        await job.retry()
    assert (await client.retry(job.id, ignore_parents=True)).state is State.queued
    await first.retry()
    await first.cancel()


async def test_a_batch_is_shown_and_cancelled(client: AnyClient, app: Runner, service: Service) -> None:
    del service
    add = app.tasks["add"]
    async with app.batch("b", then=add.prepare(left=7)) as batch:
        for number in range(3):
            batch.add(add.prepare(left=number))
    progress = await client.open_batch("b").progress()
    assert progress == await batch.progress()
    assert (progress.total, progress.pending, progress.on_failure, progress.ended_at) == (3, 3, "run", None)
    ended = await client.open_batch("b").cancel()
    assert (ended.cancelled, ended.has_ended) == (3, True)
    assert await client.open_batch("b").wait(SOON_S) == ended
    with pytest.raises(UnknownBatch, match="no batch 'nobody'"):
        await client.open_batch("nobody").progress()


async def test_the_jobs_of_a_batch_are_listed_counted_and_acted_upon(client: AnyClient, app: Runner, service: Service) -> None:
    add = app.tasks["add"]
    for name in ("b", "c"):
        async with app.batch(name) as batch:
            for number in range(3):
                batch.add(add.with_options(id=f"{name}{number}", delay=60).prepare(left=number))
    await client.cancel("b1")
    chosen = JobFilter(batch="b")

    page = await client.jobs(chosen, most=2)
    rest = await client.jobs(chosen, cursor=page.cursor)
    assert [job.id for job in (*page.jobs, *rest.jobs)] == ["b0", "b2", "b1"]
    counts = await client.job_counts(chosen)
    assert (counts.scheduled, counts.cancelled, counts.is_complete) == (2, 1, True)
    assert (await client.job_counts(JobFilter(batch="nobody"))).scheduled == 0
    begun = await client.bulk.begin("cancel", chosen)
    assert (begun.filter, begun.counted) == ({"batch": "b"}, 2)
    assert (await client.bulk.confirm(begun.id, 2)).done == 2
    assert (await client.job_counts(JobFilter(batch="c"))).scheduled == 3
    with pytest.raises(ConfigurationError, match="batch"):
        JobFilter(batch="a b")
    assert (await service.http.get("/v1/jobs", params={"batch": "a b"})).status_code in (401, 422)


async def test_the_routes_of_batches_and_of_a_submission_say_what_is_wrong(service: Service, app: Runner, worker: Worker) -> None:
    del worker
    add = app.tasks["add"]
    async with app.batch("b") as batch:
        batch.add(add.prepare(left=1))
    await batch.wait(SOON_S)
    body = (await service.http.get("/v1/batches/b")).json()
    assert (body["id"], body["total"], body["succeeded"], body["then"]) == ("b", 1, 1, None)
    assert body["ended_at"].endswith("Z")
    answer = await service.http.get("/v1/batches/nobody")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")
    assert (await service.http.delete("/v1/batches/b")).json() == body
    answer = await service.http.post("/v1/jobs", json={"task": "add", "args": {"left": 1}, "after": ["nobody"]})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/unknown-parent")
    answer = await service.http.post("/v1/jobs", json={"task": "add", "args": {"left": 1}, "after": ["a b"]})
    assert answer.status_code == 422
    jobs = [{"task": "add", "args": {"left": 1}}, {"task": "add", "args": {"left": 1}, "after": ["nobody"]}]
    answer = await service.http.post("/v1/jobs/batch", json={"jobs": jobs})
    assert answer.status_code == 207
    assert answer.json()["jobs"][1]["problem"]["type"] == "/problems/unknown-parent"
    assert answer.json()["jobs"][1]["state"] is None


async def test_a_tenant_follows_its_own_jobs_only_and_sees_its_own_batches(service: Service, app: Runner) -> None:
    secrets = [(await app.client.keys.create(name, preset="producer", tenant=name)).secret for name in ("t7", "t8")]
    async with HttpClient(service.url, key=secrets[0]) as own, HttpClient(service.url, key=secrets[1]) as others:
        first = await own.submit("add", {"left": 1}, JobOptions(id="a", delay=60))
        job = await own.submit("add", {"left": 1}, JobOptions(after=[first.id]))
        assert (await job.status()).reason == "jobs"
        with pytest.raises(UnknownParent):
            await others.submit("add", {"left": 1}, JobOptions(after=["a"]))
        async with app.batch("b") as batch:
            batch.add(app.tasks["add"].prepare(left=1))
        with pytest.raises(UnknownBatch):
            await own.open_batch("b").progress()
    await app.client.open_batch("b").cancel()


async def test_a_key_for_some_tasks_follows_jobs_of_these_tasks_alone(service: Service, app: Runner) -> None:
    secret = (await app.client.keys.create("some", preset="producer", tasks=["ad*"])).secret
    await app.client.keys.create("t7", preset="producer", tenant="t7")
    await app.client.submit("echo", {"value": 1}, JobOptions(id="of-others", delay=60))
    await app.client.submit("add", {"left": 1}, JobOptions(id="of-these", delay=60))
    async with HttpClient(service.url, key=secret) as limited:
        for parents in (["of-others"], ["of-these", "of-others"], ["nobody"]):
            with pytest.raises(UnknownParent):
                await limited.submit("add", {"left": 1}, JobOptions(id="follower", after=parents))
            both = [JobRequest("add", {"left": 1}, JobOptions(id="fine")), JobRequest("add", {"left": 1}, JobOptions(after=parents))]
            with pytest.raises(UnknownParent):
                await limited.submit_many(both)
        with pytest.raises(UnknownJob):
            await limited.status("follower")
        chain = [
            JobRequest("add", {"left": 1}, JobOptions(id="first", after=["of-these"])),
            JobRequest("add", {"left": 1}, JobOptions(id="second", after=["first"])),
        ]
        await limited.submit_many(chain)
        assert (await limited.status("second")).reason == "jobs"


async def test_no_key_follows_the_job_of_a_tenant_by_its_id_in_redis(service: Service, app: Runner) -> None:
    operator = (await app.client.keys.create("operator", preset="operator")).secret
    tenant = (await app.client.keys.create("t7", preset="producer", tenant="t7")).secret
    async with HttpClient(service.url, key=tenant) as own, HttpClient(service.url, key=operator) as others:
        await own.submit("add", {"left": 1}, JobOptions(id="a", delay=60))
        for caller in (own, others):
            with pytest.raises((UnknownParent, InvalidOption, InvalidJobId)):
                await caller.submit("add", {"left": 1}, JobOptions(after=["t7/a"]))
        answer = await service.http.post(
            "/v1/jobs", json={"task": "add", "args": {"left": 1}, "after": ["t7/a"]}, headers={"authorization": f"Bearer {operator}"}
        )
        assert answer.status_code == 422


async def test_a_key_for_some_tasks_cancels_no_batch(service: Service, app: Runner) -> None:
    secret = (await app.client.keys.create("some", preset="operator", tasks=["ad*"])).secret
    add = app.tasks["add"]
    async with app.batch("b", then=add.prepare(left=7)) as batch:
        batch.add(add.prepare(left=1))
    async with HttpClient(service.url, key=secret) as limited:
        assert (await limited.open_batch("b").progress()).total == 1
        with pytest.raises(Forbidden, match=r"may change jobs of ad\* only, and batch 'b' may have others"):
            await limited.open_batch("b").cancel()
    assert (await batch.progress()).cancelled == 0
    assert (await batch.cancel()).has_ended


async def test_open_batches_are_told_the_latest_first(client: AnyClient, app: Runner, service: Service) -> None:
    del service
    assert await client.batches() == []
    add = app.tasks["add"]
    async with app.batch("over") as batch:
        pass
    for name in ("first", "second"):
        async with app.batch(name, then=add.prepare(left=7)) as batch:
            batch.add(add.with_options(delay=60).prepare(left=1))

    told = await client.batches()
    assert [(one.id, one.total, one.pending, one.has_ended) for one in told] == [("second", 1, 1, False), ("first", 1, 1, False)]
    assert told[0] == await client.open_batch("second").progress()
    assert [one.id for one in await client.batches(1)] == ["second"]
    with pytest.raises(InvalidOption, match="most"):
        await client.batches(0)


async def test_a_batch_is_begun_filled_and_sealed_by_name_and_what_follows_it_runs(client: AnyClient, worker: Worker) -> None:
    del worker
    then = JobRequest("add", {"left": 41}, JobOptions(id="then"))
    batch = await client.begin_batch("b", then=then, size=3)
    again = await client.begin_batch("b", then=JobRequest("add", {"left": 7}))
    assert (batch.id, again.id) == ("b", "b")
    await client.submit_many([JobRequest("add", {"left": number}, JobOptions(batch="b")) for number in range(2)])
    await client.submit("add", {"left": 2}, JobOptions(id="own", batch="b"))
    assert (await client.submit("add", {"left": 2}, JobOptions(id="own", batch="b"))).id == "own"

    progress = await batch.progress()
    assert (progress.total, progress.then, progress.sealed_at, progress.on_failure) == (3, "then", None, "run")
    sealed = await batch.seal()
    assert (sealed.total, sealed.sealed_at is not None) == (3, True)
    assert await client.result("then", SOON_S) == 42
    ended = await batch.wait(SOON_S)
    assert (ended.succeeded, ended.has_ended) == (3, True)
    assert (await batch.seal()).total == 3


async def test_a_job_that_was_there_joins_a_batch_as_it_is_submitted_again(client: AnyClient, service: Service) -> None:
    del service
    await client.submit("add", {"left": 1}, JobOptions(id="x", delay=60))
    await client.begin_batch("b")
    for _ in range(2):
        job = await client.submit("add", {"left": 1}, JobOptions(id="x", delay=60, batch="b"))
        assert job.first_state == "existing"
    assert [one.id for one in (await client.jobs(JobFilter(batch="b"))).jobs] == ["x"]
    await client.open_batch("b").seal()
    await client.submit("add", {"left": 1}, JobOptions(id="x", delay=60, batch="b"))  # it is in there
    await client.submit("add", {"left": 1}, JobOptions(id="y", delay=60))
    with pytest.raises(BatchNotOpen):
        await client.submit("add", {"left": 1}, JobOptions(id="y", delay=60, batch="b"))


async def test_a_batch_that_is_not_open_takes_no_job_and_says_so(client: AnyClient, service: Service) -> None:
    del service
    sealed = await client.begin_batch()
    await sealed.seal()
    for batch_id in ("nobody", sealed.id):
        options = JobOptions(id=f"of-{batch_id}", batch=batch_id)
        with pytest.raises(BatchNotOpen):
            await client.submit("add", {"left": 1}, options)
        requests = [JobRequest("add", {"left": 1}, LATER), JobRequest("add", {"left": 1}, options)]
        with pytest.raises(BatchNotOpen) as refused:
            await client.submit_many(requests)
        assert refused.value.index == 1
        states = [job.first_state.is_new for job in await client.submit_many(requests, return_conflicts=True)]
        assert states == [True, False]
        with pytest.raises(UnknownJob):
            await client.status(options.id or "")
    with pytest.raises(UnknownBatch):
        await client.open_batch("nobody").seal()
    with pytest.raises(InvalidJobId):
        await client.submit("add", {"left": 1}, JobOptions(batch="a b"))


async def test_what_cannot_follow_a_batch_is_refused(client: AnyClient, service: Service) -> None:
    del service
    first = await client.submit("add", {"left": 1}, JobOptions(id="first", delay=60))
    for options in (JobOptions(after=[first.id]), JobOptions(batch="b")):
        with pytest.raises(InvalidOption, match="comes after no other job"):
            await client.begin_batch("b", then=JobRequest("add", {"left": 1}, options))
    with pytest.raises(UnknownTask):
        await client.begin_batch("b", then=JobRequest("nothing", {}))
    with pytest.raises(InvalidOption, match="on_failure"):
        await client.begin_batch("b", on_failure="stop")  # type: ignore[arg-type] # it is refused
    with pytest.raises(UnknownBatch):
        await client.open_batch("b").progress()
    with pytest.raises(BatchNotOpen, match="is there already"):
        await client.begin_batch("b", then=JobRequest("add", {"left": 1}, JobOptions(id="first", delay=60)))


async def test_plain_code_begins_and_seals_a_batch(client: AnyClient, worker: Worker) -> None:
    del worker

    def plainly() -> int:
        batch = client.blocking.begin_batch(then=JobRequest("add", {"left": 1}))
        client.blocking.submit("add", {"left": 1}, JobOptions(batch=batch.id))
        batch.seal()
        return batch.wait(SOON_S).succeeded

    assert await asyncio.to_thread(plainly) == 1


async def test_a_tenant_has_batches_of_its_own(service: Service, app: Runner) -> None:
    secrets = [(await app.client.keys.create(name, preset="producer", tenant=name)).secret for name in ("t7", "t8")]
    async with HttpClient(service.url, key=secrets[0]) as own, HttpClient(service.url, key=secrets[1]) as others:
        await own.begin_batch("b", then=JobRequest("add", {"left": 1}, JobOptions(id="then")))
        await own.submit("add", {"left": 1}, JobOptions(id="a", delay=60, batch="b"))
        with pytest.raises(BatchNotOpen) as refused:
            await others.submit("add", {"left": 1}, JobOptions(id="a", batch="b"))
        assert "t8" not in str(refused.value)
        with pytest.raises(UnknownBatch):
            await others.open_batch("b").seal()
        await others.begin_batch("b")
        await others.submit("add", {"left": 1}, JobOptions(id="a", delay=60, batch="b"))
        progress = await own.open_batch("b").progress()
        assert (progress.total, progress.then, progress.id) == (1, "then", "b")
        assert [one.id for one in (await own.jobs(JobFilter(batch="b"))).jobs] == ["a"]


async def test_a_batch_is_begun_within_what_a_key_may_do(service: Service, app: Runner) -> None:
    made = app.client.keys.create
    producer = (await made("p", preset="producer", tasks=["add"], max_backlog=5)).secret
    observer = (await made("o", preset="observer")).secret
    async with HttpClient(service.url, key=producer) as own, HttpClient(service.url, key=observer) as looking:
        with pytest.raises(Forbidden):
            await looking.begin_batch("b")
        with pytest.raises(Forbidden, match="may submit add only"):
            await own.begin_batch("b", then=JobRequest("echo", {"value": 1}))
        with pytest.raises(BacklogFull):
            await own.begin_batch("b", size=6)
        await own.begin_batch("b", size=5)
        with pytest.raises(Forbidden):
            await looking.open_batch("b").seal()


async def test_a_batch_is_begun_and_filled_over_http_line_by_line(service: Service) -> None:
    begun = await service.http.post("/v1/batches", json={"id": "b", "then": {"task": "add", "args": {"left": 1}}})
    assert (begun.status_code, begun.headers["location"], begun.json()["total"]) == (201, "/v1/batches/b", 0)
    lines = [{"task": "add", "args": {"left": 1}, "batch": name} for name in ("b", "nobody")]
    content = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    answer = await service.http.post("/v1/jobs/batch", content=content, headers={"content-type": "application/x-ndjson"})
    first, second = map(json.loads, answer.text.splitlines())
    assert (first["created"], second["problem"]["type"], second["problem"]["status"]) == (True, "/problems/batch-not-open", 409)
    both = await service.http.post("/v1/jobs/batch", json={"jobs": lines})
    assert (both.status_code, both.json()["jobs"][1]["problem"]["type"]) == (207, "/problems/batch-not-open")
    assert (await service.http.post("/v1/batches/b/seal")).json()["total"] == 2
    assert (await service.http.post("/v1/batches/b/seal", json={"x": 1})).status_code == 422
    assert (await service.http.post("/v1/batches/nobody/seal")).status_code == 404
