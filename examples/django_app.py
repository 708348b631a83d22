"""A Django project in one file that submits jobs by the blocking door, in plain views, and awaits them in async ones.

    RUNNER_REDIS_URL=redis://localhost:6379/0 python -m examples.django_app runserver
    RUNNER_REDIS_URL=redis://localhost:6379/0 python -m runner worker --app examples.django_app:jobs

    curl -X POST localhost:8000/orders/o-17/payment       202  {"id": "pay-o-17", "state": "queued"}
    curl localhost:8000/payments/pay-o-17                 200  {"result": "paid o-17"}

Its tests are in tests/testing/test_plain_frameworks.py, by the testing kit.
"""

# Django has no types of its own:
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

import sys

import django
from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpRequest, JsonResponse
from django.urls import path

from runner import Runner, TokenBucket, UnknownJob

jobs = Runner("shop")


@jobs.task(limits=[TokenBucket("provider", rate="10/min", burst=10)])
def charge(order: str) -> str:
    return f"paid {order}"


def pay(request: HttpRequest, order: str) -> JsonResponse:
    job = charge.with_options(id=f"pay-{order}").blocking.submit(order)
    return JsonResponse({"id": job.id, "state": job.first_state}, status=202)


async def payment(request: HttpRequest, job: str) -> JsonResponse:
    try:
        return JsonResponse({"result": await jobs.client.result(job, timeout=20)})
    except UnknownJob as error:
        return JsonResponse({"error": str(error)}, status=404)


urlpatterns = [path("orders/<order>/payment", pay), path("payments/<job>", payment)]

if not settings.configured:
    settings.configure(DEBUG=True, ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="only in this example")  # noqa: S106
    django.setup()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
