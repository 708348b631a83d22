"""A process queue: ten jobs start at once, then two more every ten seconds; a job without a token waits in line, it never fails.

    python -m runner worker --app examples.process_queue:jobs
    uvicorn examples.process_queue:app

    curl -X POST localhost:8000/tasks/process/42          {"task_id": "...", "status": "queued"}
    curl localhost:8000/tasks/status/<task_id>            {"task_id": "...", "status": "succeeded", "result": "Processed 42"}

The first of the two starts a private server in this folder unless RUNNER_REDIS_URL names one, so begin with the worker.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from runner import Runner, TokenBucket, UnknownJob


class Accepted(BaseModel):
    """A task that was accepted."""

    task_id: str
    status: str = "queued"


class Status(BaseModel):
    """`status` is queued, waiting (for a token), running, and at last succeeded or failed; `result` is there once it succeeded."""

    task_id: str
    status: str
    result: str | None = None


def build(every: float = 10, work: float = 10) -> tuple[FastAPI, Runner]:
    """The service and its jobs: a bucket of 10 that gets 2 tokens `every` so many seconds, and `work` seconds for each job."""
    jobs = Runner("process-queue")
    bucket = TokenBucket("process", capacity=10, refill=2, every=every)

    @jobs.task(limits=[bucket])
    async def process(x: str) -> str:
        await asyncio.sleep(work)
        return f"Processed {x}"

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        yield
        await jobs.close()

    app = FastAPI(title="Process queue", lifespan=lifespan)

    @app.post("/tasks/process/{x}")
    async def submit(x: str) -> Accepted:
        job = await process.submit(x)
        return Accepted(task_id=job.id)

    @app.get("/tasks/status/{task_id}")
    async def status(task_id: str) -> Status:
        try:
            job = await jobs.client.status(task_id)
        except UnknownJob as error:
            raise HTTPException(404, str(error)) from error
        return Status(task_id=job.id, status=job.state, result=job.result)

    return app, jobs


app, jobs = build()
