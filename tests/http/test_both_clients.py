"""The same verbs by the client of Redis and by that of the HTTP service: what they return, and what they raise."""

import asyncio
import inspect
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from typing import Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel

from runner import (
    Acceptance,
    BatchHandle,
    BlockingBatchHandle,
    BlockingClient,
    BlockingHttpClient,
    Client,
    ClientClosed,
    Control,
    HttpClient,
    HttpControl,
    JobFailed,
    JobOptions,
    JobRequest,
    Runner,
    Worker,
)
from runner.errors import (
    AlreadyFinished,
    ArgumentsTooLarge,
    BacklogFull,
    CannotRetry,
    ConfigurationError,
    ExceedsCapacity,
    InvalidArguments,
    InvalidJobId,
    InvalidOption,
    JobCancelled,
    JobIdConflict,
    MissingExtra,
    NoResult,
    NotEnded,
    StartOutOfRange,
    TaskServed,
    UnknownBatch,
    UnknownJob,
    UnknownLimit,
    UnknownTask,
)
from tests.app_internals import publish
from tests.http.conftest import Gate, both_clients, serving

AnyClient = Client | HttpClient
SOON_S = 20
LARGE = 1_010_000
"""Characters of a result that the service does not show with its job."""
LATER = JobOptions(delay=60)


class Point(BaseModel):
    x: float


client = both_clients()


async def test_a_job_is_submitted_waited_for_and_asked_about(client: AnyClient, worker: Worker, app: Runner) -> None:
    job = await client.submit("add", {"left": 2}, JobOptions(id="sum"))
    assert (job.id, job.first_state) == ("sum", "queued")
    assert await job.result(timeout=SOON_S) == await client.result("sum", SOON_S) == 3
    status = await client.status("sum")
    assert status == await app.client.status("sum"), "times, sizes and all"
    assert status.version == (await app.client.status("sum")).version
    again = await client.submit("add", {"left": 2}, JobOptions(id="sum"))
    assert again.first_state is Acceptance.existing
    assert (await client.wait("sum", 0)).state == "succeeded"
    with pytest.raises(CannotRetry):
        await client.retry("sum")


async def test_a_submission_has_a_deadline_of_its_own(client: AnyClient) -> None:
    status = await (await client.submit("add", {"left": 2}, JobOptions(delay=5, deadline=60))).status()

    assert status.deadline_at == pytest.approx((status.submitted_at or 0) + 60)


async def test_a_job_that_has_ended_is_deleted_and_the_audit_says_by_whom_and_why(client: AnyClient) -> None:
    job = await client.submit("add", {"left": 2}, LATER)
    with pytest.raises(NotEnded, match="cancel it first"):
        await job.delete()
    await job.cancel()
    with pytest.raises((ConfigurationError, InvalidOption), match="reason"):
        await job.delete(reason="x\n")

    await job.delete(reason="asked for by its customer")

    for call in (job.status, job.delete, job.retry):
        with pytest.raises(UnknownJob):
            await call()
    line = (await client.audit(target=job.id))[-1]
    assert (line.action, line.target, line.before, line.reason) == ("delete", f"job {job.id}", "cancelled", "asked for by its customer")
    assert line.door == ("http" if isinstance(client, HttpClient) else "python")


@pytest.mark.parametrize(
    ("task", "args", "options", "error"),
    [
        ("nothing", {}, JobOptions(), UnknownTask),
        (7, {}, JobOptions(), UnknownTask),
        ("add", {}, JobOptions(), InvalidArguments),
        ("add", {"left": "two"}, JobOptions(), InvalidArguments),
        ("add", ["left"], JobOptions(), InvalidArguments),
        ("echo", {"value": float("nan")}, JobOptions(), InvalidArguments),
        ("echo", {"value": "x" * 1_100_000}, JobOptions(), ArgumentsTooLarge),
        ("add", {"left": 1}, JobOptions(id="a b"), InvalidJobId),
        ("add", {"left": 1}, JobOptions(priority="hihg"), InvalidOption),  # type: ignore[arg-type] # it is refused
        ("add", {"left": 1}, JobOptions(delay=-1), StartOutOfRange),
        ("add", {"left": 1}, JobOptions(delay=float("nan")), StartOutOfRange),
        ("add", {"left": 1}, JobOptions(run_at=datetime.now(UTC) + timedelta(days=400)), StartOutOfRange),
        ("add", {"left": 1}, JobOptions(max_wait=0), InvalidOption),
        ("add", {"left": 1}, JobOptions(deadline=0), InvalidOption),
        ("add", {"left": 1}, JobOptions(deadline=5, delay=5), StartOutOfRange),
        ("scarce", {}, JobOptions(cost={"slow": 3}), ExceedsCapacity),
        ("scarce", {}, JobOptions(cost={"slow": -1}), InvalidOption),
        ("scarce", {}, JobOptions(cost={"fast": 1}), UnknownLimit),
        ("add", {"left": 1}, {"id": "x"}, InvalidOption),
    ],
)
async def test_a_submission_is_refused_with_the_same_error(
    client: AnyClient, task: Any, args: Any, options: Any, error: type[Exception]
) -> None:
    with pytest.raises(error) as refused:
        await client.submit(task, args, options)
    assert type(refused.value) is error
    with pytest.raises(error) as refused:
        await client.submit_many([JobRequest("add", {"left": 1}), JobRequest(task, args, options)])
    assert (type(refused.value), getattr(refused.value, "index", None)) == (error, 1)


async def test_an_id_belongs_to_one_job(client: AnyClient) -> None:
    await client.submit("add", {"left": 1}, JobOptions(id="mine", delay=60))
    with pytest.raises(JobIdConflict):
        await client.submit("add", {"left": 2}, JobOptions(id="mine"))
    requests = [JobRequest("add", {"left": 3}, LATER), JobRequest("add", {"left": 2}, JobOptions(id="mine"))]
    with pytest.raises(JobIdConflict) as refused:
        await client.submit_many(requests)
    assert refused.value.index == 1
    handles = await client.submit_many(requests, return_conflicts=True)
    assert [handle.first_state for handle in handles] == ["scheduled", "conflict"]


async def test_many_jobs_come_back_in_their_order(client: AnyClient, worker: Worker) -> None:
    twice = JobRequest("add", {"left": 0}, JobOptions(id="zero"))
    handles = await client.submit_many([JobRequest("add", {"left": number}) for number in range(30)] + [twice, twice])
    assert [await handle.result(SOON_S) for handle in handles] == [*range(1, 31), 1, 1]
    assert [handle.first_state.is_new for handle in handles] == [True] * 31 + [False]
    ids = [handles[0].id, "nothing", handles[1].id]
    known, unknown, other = await client.statuses(ids)
    assert (known and known.result, unknown, other and other.result) == (1, None, 2)
    bare, unknown, _ = await client.statuses(ids, payloads=False)
    assert (bare and bare.state, bare and bare.args, unknown) == ("succeeded", None, None)


async def test_values_of_python_go_as_they_do_by_name(client: AnyClient, app: Runner) -> None:
    other = Runner(app.queue, settings=app.settings)

    @other.task
    async def kinds(order: UUID, at: datetime, where: Point, level: Literal["a", "b"] = "a") -> Point:
        assert at.tzinfo is not None
        return Point(x=where.x + order.int)

    await publish(other)
    order, at, where = UUID(int=2), datetime(2026, 1, 2, tzinfo=UTC), Point(x=0.5)
    first = await client.submit("kinds", {"order": order, "at": at, "where": where}, JobOptions(id="values", delay=60))
    again = await kinds.with_options(id="values").submit(order, at, where)
    assert (first.first_state, again.first_state) == ("scheduled", "existing"), "one form of a call, by code and by name"
    await other.close()


async def test_a_result_is_of_the_type_it_is_read_as(client: AnyClient, worker: Worker) -> None:
    job = await client.submit("echo", {"value": {"x": 1.5}})
    assert await client.job(job.id, result=Point).result(SOON_S) == Point(x=1.5)
    assert await client.result(job.id, SOON_S) == {"x": 1.5}


async def test_a_job_that_fails_says_why_and_runs_again(client: AnyClient, worker: Worker) -> None:
    job = await client.submit("broken", {"text": "card declined"})
    with pytest.raises(JobFailed, match="ValueError: card declined"):
        await job.result(SOON_S)
    status = await job.status()
    assert status.error is not None
    assert "raise ValueError" in status.error.traceback
    await job.retry()
    assert (await job.wait(SOON_S)).attempt == 2
    with pytest.raises(AlreadyFinished):
        await job.cancel()


async def test_a_job_that_waits_is_cancelled_once_and_for_all(client: AnyClient) -> None:
    job = await client.submit("add", {"left": 1}, LATER)
    assert (await client.cancel(job.id)).state == (await job.cancel()).state == "cancelled"
    with pytest.raises(JobCancelled):
        await job.result()


async def test_what_is_unknown_is_told_by_its_own_error(client: AnyClient) -> None:
    for call in (client.status("x"), client.cancel("x"), client.retry("x"), client.wait("x", 1), client.job("x").raw_result()):
        with pytest.raises(UnknownJob):
            await call
    with pytest.raises(UnknownJob):
        await anext(client.job("x").changes())
    with pytest.raises(InvalidJobId):
        await client.status("a b")
    with pytest.raises(InvalidOption):
        await client.wait("x", -1)
    with pytest.raises(UnknownTask):
        await client.remove_task("nothing")
    with pytest.raises(UnknownTask):
        await client.remove_task("of/nobody")
    with pytest.raises(ConfigurationError):
        await client.audit(since="yesterday")
    with pytest.raises(InvalidOption):
        client.events("yesterday")


async def test_a_wait_ends_with_its_time(client: AnyClient) -> None:
    job = await client.submit("add", {"left": 1}, LATER)
    assert (await job.wait(0.3)).state == "scheduled"
    with pytest.raises(TimeoutError):
        await job.result(timeout=0.1)


async def test_a_large_result_is_whole_left_out_or_read_in_parts(client: AnyClient, worker: Worker) -> None:
    large = await client.submit("echo", {"value": "x" * LARGE})
    assert len(await large.result(SOON_S)) == LARGE
    bare = await large.status(most_result=1_000)
    assert (bare.result, bare.result_bytes) == (None, LARGE + 2)
    raw = await large.raw_result()
    assert raw.size == LARGE + 2
    assert b"".join([part async for part in raw]) == b'"' + b"x" * LARGE + b'"'
    with pytest.raises(NoResult):
        await (await client.submit("add", {"left": 1}, LATER)).raw_result()


async def test_a_job_is_followed_and_the_ends_of_a_queue_are_told(client: AnyClient, worker: Worker, gate: Gate) -> None:
    await client.result((await client.submit("add", {"left": 1})).id, SOON_S)
    place = await client.latest_event()
    job = await client.submit("held", {})
    await gate.started.wait()
    states = []
    async with aclosing(job.changes()) as changes:
        async for status in changes:
            states.append(status.state)
            gate.open.set()
    assert states == ["running", "succeeded"]
    async with aclosing(client.events(place)) as events:
        event = await anext(events)
    assert (event.job_id, event.task, event.state, event.missed) == (job.id, "held", "succeeded", False)
    async with aclosing(client.events("0")) as events:
        assert [await anext(events), await anext(events)][1] == event


async def test_limits_are_seen_and_changed(client: AnyClient, app: Runner) -> None:
    assert {limit.name for limit in await client.limits()} == {"slow", "tenant"}
    assert [limit.code for limit in await client.limits()] == [limit.code for limit in await app.client.limits()]
    control = client.control
    assert (await control.override("slow", capacity=9, duration=60)).policy.capacity == 9
    assert (await control.restore("slow")).override is None
    paused = (await control.pause("slow", reason="repair")).paused
    assert paused is not None
    assert paused.reason.endswith("repair")
    assert (await control.resume("slow")).paused is None
    frozen = await control.freeze("slow", "1m", reason="the provider says wait")
    assert 50 < frozen.buckets[0].frozen_s <= 60
    assert 50 < (await control.freeze("tenant", timedelta(minutes=1))).frozen_s <= 60
    assert (await control.release("tenant")).frozen_s == (await control.release("slow")).buckets[0].frozen_s == 0
    assert (await control.freeze("tenant/t7", 5)).name == (await control.release("tenant/t7")).name == "tenant"
    assert (await control.reset("slow", reason="sale")).reset is not None
    assert (await control.show("slow")).code == app.limits["slow"]


async def test_changes_that_cannot_be_made_are_refused_with_the_same_error(client: AnyClient) -> None:
    control = client.control
    for unknown in (control.show("fast"), control.pause("fast"), control.freeze("fast", 5), control.show(""), control.show("a/b")):
        with pytest.raises(UnknownLimit):
            await unknown
    for impossible in (
        control.override("slow"),
        control.override("slow", rate="often"),
        control.override("slow", speed=3),
        control.override("slow", capacity=0),
        control.override("slow", capacity=2, duration=float("nan")),
        control.freeze("slow/t7", 5),
        control.freeze("tenant/", 5),
        control.freeze("slow", "soon"),
        control.pause("slow", reason="x" * 501),
    ):
        with pytest.raises(ConfigurationError):
            await impossible


async def test_tasks_workers_and_the_audit_are_listed(client: AnyClient, app: Runner, worker: Worker) -> None:
    bare = {status.name: replace(status, spec=None) for status in await client.tasks()}
    assert bare == {status.name: replace(status, spec=None) for status in await app.client.tasks()}
    add = next(task.spec for task in await client.tasks() if task.name == "add")
    assert add is not None
    assert (add.parameters, add.description, add.limits) == (app.tasks["add"].definition.spec.parameters, "Add two numbers.", ())
    now_and_then: dict[str, Any] = dict.fromkeys(("renewed_at", "busy", "stall_ms", "memory_bytes"))
    assert [replace(one, **now_and_then) for one in await client.workers()] == [
        replace(one, **now_and_then) for one in await app.client.workers()
    ]
    server = await client.server()
    assert (server.name, server.memory_policy) == ("valkey", "noeviction")
    assert replace(server, clients=0, memory_bytes=0, up_s=0) == replace(await app.client.server(), clients=0, memory_bytes=0, up_s=0)
    assert await client.pools() == await app.client.pools()
    with pytest.raises(TaskServed):
        await client.remove_task("add")
    await client.control.pause("slow")
    line = (await client.audit(since="1h"))[-1]
    assert (line.action, line.target) == ("pause", "limit slow")
    assert await client.audit(after=line.id) == []
    await client.check()


async def test_a_job_is_explained(client: AnyClient) -> None:
    jobs = [await client.submit("scarce", {"number": number}) for number in range(3)]
    status = await jobs[2].status()
    assert status.state == "waiting"
    told = await client.explain(status)
    assert told[0].startswith(f"Job {jobs[2].id} (scarce) is waiting")
    assert "It waits for tokens of slow (1/h)" in told[1]


async def test_a_full_queue_refuses_by_its_numbers(app: Runner, redis_url: str) -> None:
    full = Runner(app.queue, settings=app.settings.model_copy(update={"max_backlog": 2}))
    async with serving(full.settings, app.queue) as service, HttpClient(service.url) as over_http:
        for client in (full.client, over_http):
            await client.submit("add", {"left": 1}, LATER)
        for client in (full.client, over_http):
            with pytest.raises(BacklogFull) as refused:
                await client.submit("add", {"left": 2})
            error = refused.value
            assert (error.backlog, error.most, error.refused) == (2, 2, 1)
            assert str(error).startswith(f"queue '{app.queue}' has 2 jobs")
    await full.close()


async def test_a_client_that_is_closed_refuses_and_lets_nobody_wait(client: AnyClient) -> None:
    job = await client.submit("add", {"left": 1}, LATER)
    waiting = [asyncio.ensure_future(job.result()), asyncio.ensure_future(anext(client.events()))]
    await asyncio.sleep(0.2)
    await client.close()
    for call in (*waiting, job.status(), client.submit("add", {"left": 1}), client.limits()):
        with pytest.raises(ClientClosed):
            await call


async def test_plain_code_follows_a_batch_and_the_queue(app: Runner, client: AnyClient) -> None:
    async with app.batch("b") as batch:
        batch.add(app.tasks["add"].with_options(delay=60).prepare(1))
    blocking = client.blocking

    def follow() -> None:
        ours = blocking.open_batch("b")
        assert (ours.id, ours.progress().pending, ours.wait(0).pending) == ("b", 1, 1)
        assert ours.cancel().cancelled == ours.progress().cancelled == 1
        with pytest.raises(UnknownBatch):
            blocking.open_batch("nobody").progress()
        assert all(overview.jobs for overview, _ in zip(blocking.overviews(), range(2), strict=False))
        blocking.close()

    await asyncio.to_thread(follow)


async def test_the_figures_are_told_or_the_extra_that_they_need(client: AnyClient) -> None:
    if find_spec("prometheus_client") is None:
        with pytest.raises(MissingExtra, match="prometheus-client"):
            await client.metrics()
        return
    body, kind = await client.metrics()
    assert b"runner_jobs{" in body
    assert kind.startswith("text/plain; version=")


@pytest.mark.parametrize(
    ("kind", "plain"), [(Client, BlockingClient), (HttpClient, BlockingHttpClient), (BatchHandle, BlockingBatchHandle)]
)
def test_plain_code_has_every_verb(kind: type, plain: type) -> None:
    no_verbs = {"blocking", "queue", "settings", "url"}
    assert set(_verbs(kind)) - no_verbs == set(_verbs(plain)) - {"id"}


def test_both_have_the_same_verbs() -> None:
    ours = {"keys", "examine", "memory", "refuse_unfit_server", "queue", "settings"}
    assert set(_verbs(Client)) - ours == set(_verbs(HttpClient)) - {"url"}
    for one, other in ((Client, HttpClient), (Control, HttpControl)):
        for name, method in _verbs(other).items():
            if inspect.isfunction(method):
                assert inspect.signature(method) == inspect.signature(_verbs(one)[name]), name


def _verbs(kind: type) -> dict[str, Any]:
    return {name: getattr(kind, name) for name in dir(kind) if not name.startswith("_") and name != "LONGEST_TEXT"}
