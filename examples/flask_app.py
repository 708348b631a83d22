"""A Flask app that submits jobs by the blocking door. Its tests are in tests/testing/test_plain_frameworks.py, by the testing kit.

RUNNER_REDIS_URL=redis://localhost:6379/0 flask --app examples.flask_app run
RUNNER_REDIS_URL=redis://localhost:6379/0 python -m runner worker --app examples.flask_app:jobs

curl -X POST localhost:5000/orders/o-17/payment       202  {"id": "pay-o-17", "state": "queued"}
curl localhost:5000/payments/pay-o-17                 200  {"result": "paid o-17"}
"""

from flask import Flask, Response, jsonify

from runner import Runner, TokenBucket, UnknownJob

jobs = Runner("shop")


@jobs.task(limits=[TokenBucket("provider", rate="10/min", burst=10)])
def charge(order: str) -> str:
    return f"paid {order}"


app = Flask(__name__)


@app.post("/orders/<order>/payment")
def pay(order: str) -> tuple[Response, int]:
    job = charge.with_options(id=f"pay-{order}").blocking.submit(order)
    return jsonify(id=job.id, state=job.first_state), 202


@app.get("/payments/<job>")
def payment(job: str) -> tuple[Response, int]:
    try:
        return jsonify(result=jobs.client.blocking.result(job, timeout=20)), 200
    except UnknownJob as error:
        return jsonify(error=str(error)), 404
