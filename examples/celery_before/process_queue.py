"""The process queue as it was on Celery and Celery Beat; examples/process_queue.py is the same service now.

    pip install 'celery[redis]' fastapi uvicorn
    celery --app process_queue:jobs worker --beat
    uvicorn process_queue:app

Both in this folder, with a Redis at REDIS_URL. PERIOD_S is the time between two refills, WORK_S how long a job takes.
"""

import os
import time

from celery import Celery
from celery.result import AsyncResult
from fastapi import FastAPI
from redis import Redis

URL = os.environ.get("REDIS_URL", "redis://localhost:6379/0")
PERIOD_S = float(os.environ.get("PERIOD_S", "10"))
WORK_S = float(os.environ.get("WORK_S", "10"))
CAPACITY, REFILL = 10, 2

jobs = Celery("process_queue", broker=URL, backend=URL)
jobs.conf.beat_schedule = {"refill": {"task": "refill", "schedule": PERIOD_S}}
redis = Redis.from_url(URL)
redis.set("tokens", CAPACITY, nx=True)

# Two steps in one script, as two workers may ask at once.
take = redis.register_script("if tonumber(redis.call('GET', KEYS[1])) < 1 then return 0 end redis.call('DECR', KEYS[1]) return 1")
add = redis.register_script(
    "redis.call('SET', KEYS[1], math.min(tonumber(redis.call('GET', KEYS[1])) + tonumber(ARGV[1]), tonumber(ARGV[2])))"
)


@jobs.task(name="refill", ignore_result=True)
def refill() -> None:
    add(keys=["tokens"], args=[REFILL, CAPACITY])


@jobs.task(bind=True, name="process", max_retries=None)
def process(self, x: str) -> str:
    if not take(keys=["tokens"]):
        raise self.retry(countdown=PERIOD_S)  # every job without a token comes back after each period, all at once
    time.sleep(WORK_S)
    return f"Processed {x}"


app = FastAPI(title="Process queue")


@app.post("/tasks/process/{x}")
def submit(x: str) -> dict[str, str]:
    return {"task_id": process.delay(x).id, "status": "queued"}


@app.get("/tasks/status/{task_id}")
def status(task_id: str) -> dict[str, str | None]:
    result = AsyncResult(task_id, app=jobs)
    return {"task_id": task_id, "status": result.status, "result": result.result if result.successful() else None}
