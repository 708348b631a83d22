"""What would become of a job, and the refusal of a deadline that is out of reach, by both clients and over HTTP."""

import pytest

from runner import (
    Acceptance,
    CallersClient,
    Client,
    DeadlineOutOfReach,
    HttpClient,
    JobOptions,
    JobRequest,
    Principal,
    Runner,
    Scope,
    TokenBucket,
    Worker,
)
from runner.errors import BacklogFull, Forbidden, InvalidArguments, JobIdConflict, UnknownParent, UnknownTask
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
