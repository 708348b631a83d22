"""What would become of a job, and the refusal of a deadline that is out of reach, by both clients and over HTTP."""

import pytest

from runner import (
    Acceptance,
    CallersClient,
    Client,
    DeadlineOutOfReach,
    HttpClient,
    JobFilter,
    JobOptions,
    JobRequest,
    Principal,
    Runner,
    Scope,
    TokenBucket,
    Worker,
)
from runner.errors import BacklogFull, Forbidden, InvalidArguments, InvalidOption, JobIdConflict, UnknownParent, UnknownTask
from tests.app_internals import publish
from tests.http.conftest import Service, both_clients

AnyClient = Client | HttpClient


client = both_clients("producer")


@pytest.fixture
async def app(app: Runner) -> Runner:
    """The app of the other tests, with a task whose tokens come one a minute."""

    @app.task(limits=[TokenBucket("minute", rate="1/min", burst=1)])
    async def rare(number: int = 0) -> int:
        return number

    await publish(app)
    return app


async def test_a_job_is_foretold_and_not_stored(client: AnyClient, app: Runner, worker: Worker) -> None:
    now = await client.foresee("rare", {})
    assert (now.state, now.created, now.eta_s, now.earliest_s, now.id) == (Acceptance.queued, True, 0.0, 0.0, None)
    for number in range(3):
        await client.submit("rare", {"number": number}, JobOptions(id=f"r{number}"))

    waits = await client.foresee("rare", {"number": 4})
    job = await client.submit("rare", {"number": 4})
    status = await job.status()

    assert (waits.state, waits.reason, waits.bucket, waits.position) == ("waiting", status.reason, status.bucket, status.position)
    assert waits.eta_s == pytest.approx(status.eta_s, abs=2)
    assert waits.earliest_s == pytest.approx(waits.eta_s, abs=2)
    later = await client.foresee("rare", {}, JobOptions(delay=3600))
    assert (later.state, later.reason, later.eta_s) == ("scheduled", "delay", 3600.0)
    known = await client.foresee("rare", {"number": 2}, JobOptions(id="r2"))
    assert (known.state, known.id, known.created, known.bucket) == ("existing", "r2", False, "minute")
    after = await client.foresee("add", {"left": 1}, JobOptions(after=["r2"]))
    assert (after.state, after.reason, after.eta_s) == ("waiting", "jobs", None)


async def test_what_a_submission_is_refused_for_is_refused_before_too(client: AnyClient, app: Runner) -> None:
    await client.submit("add", {"left": 1}, JobOptions(id="taken"))
    for task, args, options, error in (
        ("nothing", {}, JobOptions(), UnknownTask),
        ("add", {"left": "two"}, JobOptions(), InvalidArguments),
        ("add", {"left": 2}, JobOptions(id="taken"), JobIdConflict),
        ("add", {"left": 2}, JobOptions(after=["nobody"]), UnknownParent),
    ):
        with pytest.raises(error):
            await client.foresee(task, args, options)
        with pytest.raises(error):
            await client.submit(task, args, options)
    waits = await client.foresee("add", {"left": 1})
    assert (waits.reason, waits.eta_s) == ("no worker", None)


async def test_a_deadline_out_of_reach_is_refused_and_a_job_that_is_there_is_not(client: AnyClient, app: Runner, worker: Worker) -> None:
    for number in range(4):
        await client.submit("rare", {"number": number}, JobOptions(id=f"r{number}", deadline=1000))

    with pytest.raises(
        DeadlineOutOfReach, match=r"'rare' is to have ended 30 s from now .* by limit 'minute'.*give a later deadline"
    ) as refused:
        await client.submit("rare", {"number": 9}, JobOptions(deadline=30))
    assert 100 < refused.value.earliest_s <= 240
    with pytest.raises(DeadlineOutOfReach):
        await client.foresee("rare", {"number": 9}, JobOptions(deadline=30))
    again = await client.submit("rare", {"number": 3}, JobOptions(id="r3", deadline=30))
    assert again.first_state is Acceptance.existing
    for many in ([9, 10], [3, 10]):
        requests = [JobRequest("add", {"left": 1}, JobOptions(id=f"first{many[0]}"))]
        requests += [JobRequest("rare", {"number": n}, JobOptions(id=f"r{n}", deadline=30)) for n in many]
        with pytest.raises(DeadlineOutOfReach) as refused:
            await client.submit_many(requests)
        assert refused.value.index == (1 if many[0] == 9 else 2)
        assert await client.statuses([f"first{many[0]}", "r9", "r10"], payloads=False) == [None, None, None]
    urgent = await client.submit("rare", {"number": 9}, JobOptions(deadline=90, priority="high"))
    assert urgent.first_state is Acceptance.waiting, "before others, perhaps"


async def test_the_jobs_of_a_batch_are_foretold_behind_each_other(client: AnyClient, app: Runner, worker: Worker) -> None:
    await client.submit("rare", {"number": 0}, JobOptions(id="there"))
    batch = [JobRequest("rare", {"number": n}) for n in range(3)]
    batch += [
        JobRequest("add", {"left": 1}),
        JobRequest("rare", {"number": 0}, JobOptions(id="there")),
        JobRequest("rare", {}, JobOptions(delay=900)),
    ]

    told = await client.foresee_many(batch)

    assert [one.state for one in told.jobs] == ["waiting", "waiting", "waiting", "queued", "existing", "scheduled"]
    assert [one.position for one in told.jobs[:4]] == [1, 2, 3, None]
    assert [one.eta_s for one in told.jobs[:4]] == [pytest.approx(60 * n, abs=3) for n in (1, 2, 3)] + [0.0]
    assert [one.earliest_s for one in told.jobs[:3]] == [pytest.approx(60 * n, abs=3) for n in (1, 2, 3)]
    assert (told.jobs[4].id, told.created, told.eta_s, told.end_eta_s) == ("there", 5, 900.0, None)
    assert [status.id for status in (await client.jobs(JobFilter(task="rare"))).jobs] == ["there"], "nothing is stored"
    assert (await client.foresee_many([])).document() == {"created": 0, "eta_s": None, "end_eta_s": None}


async def test_what_a_batch_is_refused_for_is_refused_before_too(client: AnyClient, app: Runner, worker: Worker) -> None:
    await client.submit("add", {"left": 1}, JobOptions(id="taken"))
    await client.submit_many([JobRequest("rare", {})] * 3)
    good = JobRequest("add", {"left": 1}, JobOptions(id="first"))
    for bad, error in (
        (JobRequest("nothing", {}), UnknownTask),
        (JobRequest("add", {"left": "two"}), InvalidArguments),
        (JobRequest("add", {"left": 2}, JobOptions(id="taken")), JobIdConflict),
        (JobRequest("add", {"left": 2}, JobOptions(after=["nobody"])), UnknownParent),
        (JobRequest("rare", {}, JobOptions(deadline=30)), DeadlineOutOfReach),
    ):
        with pytest.raises(error) as refused:
            await client.foresee_many([good, bad])
        assert refused.value.index == 1, bad
    told = await client.foresee_many(
        [
            good,
            JobRequest("add", {"left": 2}, JobOptions(id="taken")),
            JobRequest("add", {"left": 3}, JobOptions(after=["nobody"])),
            JobRequest("add", {"left": 4}, JobOptions(after=["first"])),
        ],
        return_conflicts=True,
    )
    assert [one.state for one in told.jobs] == ["queued", "conflict", "no parent", "waiting"]
    assert (told.created, told.jobs[3].reason, told.eta_s) == (2, "jobs", None), "one of the batch comes after another of it"


async def test_alike_jobs_of_a_batch_are_foretold_as_one(app: Runner, worker: Worker) -> None:
    options = [JobOptions(id="one"), JobOptions(id="one"), JobOptions(unique=True), JobOptions(unique=True)]
    client = app.client

    told = await client.foresee_many([JobRequest("add", {"left": 1}, option) for option in options])
    handles = await client.submit_many([JobRequest("add", {"left": 1}, option) for option in options])

    assert [one.state for one in told.jobs] == [handle.first_state for handle in handles] == ["queued", "existing"] * 2
    assert told.jobs[1].id == "one"
    with pytest.raises(JobIdConflict) as refused:
        await client.foresee_many([JobRequest("add", {"left": n}, JobOptions(id="other")) for n in range(2)])
    assert refused.value.index == 1


async def test_over_http_a_batch_is_one_parameter_too(service: Service, app: Runner) -> None:
    jobs = [{"task": "rare", "args": {"number": n}} for n in range(2)]

    answer = await service.http.post(
        "/v1/jobs/batch?dry_run=1", json={"jobs": [*jobs, {"task": "add", "args": {"left": 1}, "after": ["none"]}]}
    )

    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["created"], [job["id"] for job in told["jobs"][:2]], told["jobs"][2]["problem"]["status"]) == (2, ["", ""], 422)
    lines = await service.http.post(
        "/v1/jobs/batch?dry_run=1", content=b'{"task":"rare"}\n', headers={"Content-Type": "application/x-ndjson"}
    )
    assert (lines.status_code, lines.json()["type"]) == (422, "/problems/validation")
    assert (await service.http.get("/v1/jobs?task=rare")).json()["jobs"] == [], "nothing is stored"
    bad = await service.http.post("/v1/jobs/batch?dry_run=1", json={"jobs": [*jobs, {"task": "rare", "args": {"number": "x"}}]})
    assert bad.json()["type"].endswith("batch-invalid")


async def test_over_http_it_is_one_parameter(service: Service, app: Runner) -> None:
    asked = {"task": "rare", "args": {"number": 1}}
    for value in ("1", "true"):
        answer = await service.http.post(f"/v1/jobs?dry_run={value}", json=asked)
        assert (answer.status_code, answer.json()["created"], answer.json()["id"]) == (200, True, ""), answer.text
    assert (await service.http.post("/v1/jobs?dry_run=perhaps", json=asked)).status_code == 422
    assert (await service.http.post("/v1/jobs?dry_run=0", json=asked)).status_code == 202
    keyed = {"Idempotency-Key": '"k1"'}
    assert (await service.http.post("/v1/jobs?dry_run=1", json=asked, headers=keyed)).json()["created"] is True
    await service.http.post("/v1/jobs", json=asked, headers=keyed)
    assert (await service.http.post("/v1/jobs?dry_run=1", json=asked, headers=keyed)).json()["state"] == "existing"
    other = await service.http.post("/v1/jobs?dry_run=1", json={"task": "rare"}, headers=keyed)
    assert other.json()["type"].endswith("idempotency-key-reused")
    late = await service.http.post("/v1/jobs", json={"task": "scarce", "deadline": 5, "run_at": "2030-01-01T00:00:00Z"})
    assert late.status_code == 422


async def test_it_costs_a_key_its_rate_and_needs_the_right_to_submit(service: Service, app: Runner) -> None:
    secret = (await app.client.keys.create("slow", preset="producer", rate="2/h")).secret
    reader = (await app.client.keys.create("reader", preset="observer")).secret

    async def asked(key: str) -> int:
        headers = {"Authorization": f"Bearer {key}"}
        return (await service.http.post("/v1/jobs?dry_run=1", json={"task": "rare"}, headers=headers)).status_code

    assert [await asked(secret) for _ in range(3)] == [200, 200, 429]
    other = (await app.client.keys.create("batches", preset="producer", rate="4/h")).secret
    jobs = {"jobs": [{"task": "rare"}] * 3}
    headers = {"Authorization": f"Bearer {other}"}
    many = [(await service.http.post("/v1/jobs/batch?dry_run=1", json=jobs, headers=headers)).status_code for _ in range(2)]
    assert many == [200, 429], "as many as its submission"
    assert await asked(reader) == 403


async def test_a_caller_is_foretold_within_what_it_may(app: Runner) -> None:
    scopes = frozenset({Scope.jobs_submit})
    tenant = CallersClient(app.client, Principal("t7's", scopes, tenant="t7"))
    await app.client.submit("add", {"left": 1}, JobOptions(id="theirs"))
    await tenant.submit("add", {"left": 1}, JobOptions(id="own"))

    assert (await tenant.foresee("add", {"left": 1}, JobOptions(id="theirs"))).created
    assert (await tenant.foresee("add", {"left": 1}, JobOptions(id="own"))).id == "own"
    with pytest.raises(Forbidden):
        await CallersClient(app.client, Principal("some", scopes, tasks=["echo"])).foresee("add", {"left": 1})
    with pytest.raises(BacklogFull):
        await CallersClient(app.client, Principal("few", scopes, max_backlog=1)).foresee("add", {"left": 1})


async def test_a_task_foretells_its_call(app: Runner, worker: Worker) -> None:
    rare = app.tasks["rare"]
    await rare.submit(1)
    await rare.submit(2)

    told = await rare.with_options(priority="low").foresee(3)

    assert (told.task, told.state, told.limit, told.position) == ("rare", "waiting", "minute", 2)
    assert told.document()["eta_s"] == told.eta_s

    batch = await app.foresee_many([rare.prepare(n) for n in range(4, 7)])
    assert [one.position for one in batch.jobs] == [2, 3, 4]
    assert batch.eta_s == batch.jobs[-1].eta_s
    with pytest.raises(InvalidOption, match="give jobs made by prepare"):
        await app.foresee_many(["rare"])  # type: ignore[list-item]
