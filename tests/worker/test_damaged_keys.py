"""Keys of a queue that hold something else than they should: jobs that do not need what is damaged run, and no worker ends by it."""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest
from redis.asyncio import Redis

from runner import Concurrency, JobHandle, Runner, SlidingWindow, TokenBucket
from runner.errors import RunnerError, StoreUnavailable
from runner.store import JobStore, damaged_keys, scripts
from runner.store.keys import Keys
from tests.eventually import eventually
from tests.worker.conftest import Crew, MakeApp

PACED = TokenBucket("paced", rate="50/s", burst=1)
WINDOW = SlidingWindow("window", 5, per=0.2)
SLOTS = Concurrency("slots", 1)
FINE = TokenBucket("fine", rate="100/s", burst=1)
DAMAGED = [
    *(
        "bucket:paced",
        "bucket:window",
        "bucket:slots",
        "taken:window",
        "holders:slots",
        "line:1|paced",
        "line:1|slots",
        "line:1|paced;slots",
    ),
    *("lines:waiting:paced", "lines:waiting:slots", "claims:paced", "records", "retimes", "unserved", "clock"),
    *("failed", "history", "throttled"),
]


def victims_of(app: Runner) -> list[str]:
    """Tasks whose limits are damaged; the app has three others too."""

    @app.task(name="paced", limits=[PACED])
    async def paced() -> None: ...

    @app.task(name="windowed", limits=[WINDOW])
    async def windowed() -> None: ...

    @app.task(name="single", limits=[SLOTS])
    async def single() -> None:
        await asyncio.sleep(0.01)

    @app.task(name="both", limits=[PACED, SLOTS])
    async def both() -> None: ...

    @app.task(name="plain")
    async def plain() -> int:
        return 1

    @app.task(name="fine", limits=[FINE])
    async def fine() -> int:
        return 1

    @app.task(name="fails", retries=0)
    async def fails() -> None:
        raise ValueError("by itself")

    return ["paced", "windowed", "single", "both"]


async def others(app: Runner) -> list[JobHandle[object]]:
    jobs = list[JobHandle[object]]()
    for number in range(8):
        for name in ("plain", "fine", "fails"):
            task = app.tasks[name]
            jobs.append(await (task.with_options(delay=0.2) if number % 2 else task).submit())
    return jobs


@pytest.mark.fault("X05")
@pytest.mark.parametrize("key", DAMAGED)
async def test_a_key_of_another_type_ends_no_worker_and_holds_up_no_job_that_does_not_need_it(
    make_app: MakeApp, redis: Redis, queue: str, crew: Crew, key: str
) -> None:
    app = make_app(lease_s=1.5, renew_s=0.3, reclaim_s=0.2, record_starts=False)
    for name in victims_of(app) * 5:
        await app.tasks[name].submit()
    damaged = Keys(queue).prefix + key
    await redis.delete(damaged)
    await redis.set(damaged, "something else")

    worker = await crew.start(app)
    name = worker.id
    jobs = await others(app)
    ends = await asyncio.gather(*(job.wait(timeout=15) for job in jobs))

    assert [end.state for end in ends] == ["succeeded", "succeeded", "failed"] * 8
    assert {end.error.message for end in ends if end.error} == {"by itself"}
    assert (worker.id, worker.state.is_stopped) == (name, False)
    await redis.delete(damaged)  # what the fixtures read afterwards can be read
    # A claim that waits for the damaged bucket keeps the other one as long as it takes.
    await asyncio.gather(*(redis.expire(Keys(queue).bucket(bucket), 60) for bucket in ("paced", "slots")))


@pytest.mark.parametrize("key", ["seen", "catalog", "serving", "workers", "limits", "specs"])
async def test_a_worker_that_the_catalog_refuses_tries_again_until_it_is_mended(
    app: Runner, redis: Redis, queue: str, crew: Crew, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    victims_of(app)
    job = await app.tasks["plain"].submit()
    damaged = Keys(queue).prefix + key
    await redis.delete(damaged)
    await redis.set(damaged, "something else")
    starting = asyncio.create_task(crew.start(app))
    await eventually(
        lambda: "cannot start, and tries again until the queue is mended: a key of the queue holds something else" in caplog.text
    )
    assert not starting.done()

    await redis.delete(damaged)

    await starting
    assert await job.result(timeout=10) == 1


@pytest.mark.parametrize("key", damaged_keys.NAMES)
async def test_doctor_names_each_key_of_another_type_and_its_remedy_and_callers_get_one_clear_error(
    app: Runner, redis: Redis, queue: str, crew: Crew, key: str
) -> None:
    victims_of(app)
    worker = await crew.start(app)
    assert await (await app.tasks["fine"].submit()).result(timeout=10) == 1
    await crew.stop(worker)
    assert "keys hold what they should" in next(found.text for found in await app.client.examine() if found.check == "keys")
    damaged = Keys(queue).prefix + key
    await redis.delete(damaged)
    await redis.lpush(damaged, "x") if key != "nudge" else await redis.set(damaged, "x")

    findings = {found.check: found for found in await app.client.examine()}
    said = await errors_of(app)

    assert (findings["keys"].level, findings["keys"].text.count("(DEL ")) == ("warning", 1)
    assert findings["keys"].text.startswith(f"key {damaged} should hold a ")
    assert f"delete it (DEL {damaged}), then " in findings["keys"].text
    assert {"tasks", "throttled", "calls", "workers", "pauses"} <= findings.keys()
    assert [error for error in said if not isinstance(error, RunnerError)] == []

    await redis.delete(damaged)  # the remedy
    await crew.start(app)
    jobs = [await app.tasks[name].submit() for name in ("plain", "fine", "paced")]
    assert {(await job.wait(timeout=10)).state for job in jobs} == {"succeeded"}


async def errors_of(app: Runner) -> list[BaseException]:
    """What callers are told."""
    client = app.client
    calls: list[Coroutine[Any, Any, object]] = [
        app.tasks["plain"].submit(),
        app.tasks["paced"].with_options(delay=0.1).submit(),
        app.tasks["paced"].submit(),
    ]
    calls += [client.submit("fine", {}), client.limits(), client.tasks(), client.workers(), app.take("fine", wait=0.1)]
    return [error for error in await asyncio.gather(*calls, return_exceptions=True) if isinstance(error, BaseException)]


def refused(monkeypatch: pytest.MonkeyPatch, names: Sequence[str]) -> None:
    """Each call of these scripts is refused as a whole."""
    load = scripts.load

    def broken(name: str) -> scripts.Script:
        script = load(name)
        if name not in names:
            return script
        return scripts.Script(name, "error('nobody expected this')\n", script.arguments)

    monkeypatch.setattr(scripts, "load", broken)


@pytest.mark.parametrize(
    "names", [["reconcile"], ["reclaim"], ["lead"], ["orphans", "trim", "unhold", "sweep", "rouse"], ["promote"], ["expire"]]
)
async def test_a_script_that_is_refused_as_a_whole_ends_no_worker_and_holds_up_nothing_else(
    make_app: MakeApp, crew: Crew, monkeypatch: pytest.MonkeyPatch, names: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "runner")
    app = make_app(lease_s=1.0, renew_s=0.2, reclaim_s=0.1, record_starts=False)
    victims_of(app)
    worker = await crew.start(app)
    name = worker.id
    refused(monkeypatch, names)
    await asyncio.sleep(1.5)  # once it was to be called again and again

    jobs = [await app.tasks[task].submit() for task in ("plain", "fine") * 10]
    if names not in (["promote"], ["lead"]):
        jobs.append(await app.tasks["plain"].with_options(delay=0.1).submit())
    ends = await asyncio.gather(*(job.wait(timeout=10) for job in jobs))

    assert {end.state for end in ends} == {"succeeded"}
    assert (worker.id, worker.state.is_stopped) == (name, False)
    said = [record for record in caplog.records if "nobody expected this" in f"{record.getMessage()}{record.exc_text}"]
    assert 1 <= len(said) <= 2
    await crew.stop(worker)


async def test_a_reconcile_that_is_refused_after_an_outage_ends_no_worker(app: Runner, crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    victims_of(app)
    worker = await crew.start(app)
    name, lost = worker.id, list[int]()
    claim = JobStore.wait_and_claim

    async def cut(store: JobStore, *args: object, **kwargs: object) -> object:
        if not lost:
            lost.append(1)
            raise StoreUnavailable("a reply was lost")
        return await claim(store, *args, **kwargs)  # type: ignore[arg-type]

    refused(monkeypatch, ["reconcile"])
    monkeypatch.setattr(JobStore, "wait_and_claim", cut)
    await eventually(lambda: lost)

    assert await (await app.tasks["plain"].submit()).result(timeout=10) == 1
    assert (worker.id, worker.state.is_stopped) == (name, False)
