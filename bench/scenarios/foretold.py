"""foretold: what a batch is told by `foresee_many`, against what then comes when it is submitted."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.scenario import Repetition, Scenario
from runner import JobStatus, Runner, Settings, Submission, TokenBucket, Worker
from runner.clock import monotonic_us

_PATIENCE_S = 120.0
_TASKS = {"one": ("steady",), "two": ("both",), "mixed": ("steady", "steady_too", "slow")}


@dataclass(frozen=True, slots=True)
class Options:
    """`jobs` of these tasks, in turns, behind `ahead` that wait already; `warm_up` of each have run before, so that it is known how long they take."""

    jobs: int = 200
    kind: str = "one"
    ahead: int = 0
    slots: int = 10
    warm_up: int = 20


async def measure(url: str, options: Options) -> Repetition:
    app = _app(Settings(redis_url=url, concurrency=options.slots))
    worker = Worker(app)
    running = asyncio.create_task(worker.run())
    try:
        await worker.wait_until_working()
        names = _TASKS[options.kind]
        await app.gather(await app.submit_many(_jobs(app, names, options.warm_up * len(names))))
        await asyncio.sleep(1.0)  # until the buckets are full again
        if options.ahead:
            await app.submit_many(_jobs(app, names, options.ahead))
        batch = _jobs(app, names, options.jobs)
        began_us = monotonic_us()
        told = await app.foresee_many(batch)
        told_ms = (monotonic_us() - began_us) / 1_000
        handles = await app.submit_many(batch)
        ended = [await handle.wait(_PATIENCE_S) for handle in handles]
    finally:
        worker.stop()
        await running
        await app.close()
    submitted = min(status.submitted_at or 0.0 for status in ended)
    took_s = max(status.finished_at or 0.0 for status in ended) - submitted
    off_s = [abs((told_of.eta_s or 0.0) - started) for told_of, started in zip(told.jobs, _starts(ended, submitted), strict=True)]
    foretold_s = told.end_eta_s or 0.0
    figures = {
        "foretold_end_s": foretold_s,
        "real_end_s": took_s,
        "end_off_percent": abs(foretold_s - took_s) / took_s * 100,
        "start_off_p50_ms": median(off_s) * 1_000,
        "start_off_max_ms": max(off_s) * 1_000,
        "foretell_ms": told_ms,
    }
    return Repetition(figures)


def _app(settings: Settings) -> Runner:
    app = Runner("bench", settings=settings)
    rate, second = TokenBucket("rate", rate="20/s", burst=5), TokenBucket("second", rate="15/s", burst=5)

    async def steady(number: int) -> None:  # noqa: ARG001 - jobs that are told apart
        await asyncio.sleep(0.05)

    async def slow(number: int) -> None:  # noqa: ARG001 - as above
        await asyncio.sleep(0.4)

    app.task(name="steady", limits=[rate])(steady)
    app.task(name="steady_too", limits=[rate])(steady)
    app.task(name="both", limits=[rate, second])(steady)
    app.task(name="slow")(slow)
    return app


def _jobs(app: Runner, names: Sequence[str], count: int) -> list[Submission[Any]]:
    return [app.tasks[names[number % len(names)]].prepare(number) for number in range(count)]


def _starts(ended: Sequence[JobStatus], submitted: float) -> list[float]:
    return [(status.started_at or 0.0) - submitted for status in ended]


SCENARIO = Scenario(
    name="foretold",
    unit="job",
    description="when a batch is told to end, against when it does",
    cases={
        "one-task": Options(),
        "behind-others": Options(ahead=100),
        "two-limits": Options(kind="two"),
        "mixed-tasks": Options(kind="mixed", slots=4),
    },
    quick={"jobs": 6, "ahead": 0, "warm_up": 2},
    measure=measure,
    repetitions={"behind-others": 2, "two-limits": 2, "mixed-tasks": 2},
)
