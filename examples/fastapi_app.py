"""A FastAPI app that submits jobs and runs them itself. Its tests are in tests/testing/test_fastapi_app.py, by the testing kit.

    RUNNER_REDIS_URL=redis://localhost:6379/0 uvicorn examples.fastapi_app:app

    curl -X POST localhost:8000/orders/o-17/payment       202  {"id": "pay-o-17", "state": "queued"}
    curl localhost:8000/payments/pay-o-17                 200  "paid o-17"
    curl localhost:8000/payments/nope                     404  application/problem+json

For more workers leave `worker=True` out, and start `python -m runner worker --app examples.fastapi_app:jobs` as often as you like.
"""

from fastapi import FastAPI

from runner import JobHandle, Runner, TokenBucket
from runner.http import lifespan, problems

jobs = Runner("shop")


@jobs.task(limits=[TokenBucket("provider", rate="10/min", burst=10)])
async def charge(order: str) -> str:
    return f"paid {order}"


app = FastAPI(title="Shop", lifespan=lifespan(jobs, worker=True))
problems(app)


@app.post("/orders/{order}/payment", status_code=202)
async def pay(order: str) -> JobHandle[str]:
    return await charge.with_options(id=f"pay-{order}").submit(order)


@app.post("/orders/{order}/payment/plain", status_code=202)
def pay_in_plain_code(order: str) -> JobHandle[str]:
    return jobs.client.job(charge.with_options(id=f"pay-{order}").blocking.submit(order).id)


@app.get("/payments/{job}")
async def payment(job: str) -> str:
    return await jobs.client.job(job, result=str).result(timeout=20)
