"""What a job says of the limit it waits for, and jobs that run again."""

import pytest

from runner import Worker
from tests.http.conftest import Service
from tests.http.scarce import Mended, job, line_up
from tests.http.scarce import app as app
from tests.http.scarce import mended as mended


async def test_a_job_that_lacks_a_token_says_so_with_numbers(service: Service, worker: Worker) -> None:
    waiting = await line_up(service, 3)
    told = await job(service, waiting[2], explain=1)
    explanation = "\n".join(told["explanation"])
    for word in (" pay ", "1/h", "no token", "2 jobs are ahead", "place is 3", "the next lands in", "starts in about", "limits show pay"):
        assert word in explanation, (word, explanation)
    assert (await job(service, waiting[2]))["explanation"] is None


async def test_a_job_whose_provider_said_wait_counts_it_and_no_failure(service: Service, worker: Worker) -> None:
    told = await job(service, await service.submit("told_to_wait", args={"number": 1}), wait=10)
    assert (told["state"], told["throttled"], told["failures"]) == ("succeeded", 1, 0)


async def test_a_job_that_may_not_wait_so_long_expires(service: Service, worker: Worker) -> None:
    await line_up(service, 0)
    told = await job(service, await service.submit("charge", max_wait=0.2), wait=10, explain=1)
    assert told["state"] == "expired"
    assert "retry" in told["explanation"][-1]


async def test_a_failed_job_runs_again(service: Service, worker: Worker, mended: Mended) -> None:
    job_id = await service.submit("brittle")
    failed = await job(service, job_id, wait=10, explain=1)
    assert (failed["state"], failed["attempt"]) == ("failed", 1)
    assert f"retry {job_id} --queue" in failed["explanation"][-1]
    mended.set()
    again = await service.http.post(f"/v1/jobs/{job_id}/retry")
    assert (again.status_code, again.json()["error"]) == (200, None)
    done = await job(service, job_id, wait=10)
    assert (done["state"], done["result"], done["attempt"]) == ("succeeded", "mended", 2)


async def test_a_retried_job_has_all_the_time_there_is(service: Service, worker: Worker) -> None:
    await line_up(service, 0)
    job_id = await service.submit("charge", max_wait=1.0)
    await service.http.delete(f"/v1/jobs/{job_id}")
    await service.http.post(f"/v1/jobs/{job_id}/retry")
    assert (await job(service, job_id, wait=2))["state"] == "waiting"


@pytest.mark.parametrize("state", ["scheduled", "succeeded"])
async def test_a_job_that_has_not_failed_cannot_run_again(service: Service, worker: Worker, state: str) -> None:
    job_id = await service.submit("mixed", delay=60 if state == "scheduled" else 0)
    if state == "succeeded":
        await job(service, job_id, wait=10)
    answer = await service.http.post(f"/v1/jobs/{job_id}/retry", json={})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/cannot-retry")
    assert state in answer.json()["detail"]


async def test_running_a_job_again_can_be_repeated(service: Service, worker: Worker) -> None:
    """The answer to the first request may have been lost."""
    (waiting,) = await line_up(service, 1)
    await service.http.delete(f"/v1/jobs/{waiting}")
    for _ in range(2):
        answer = await service.http.post(f"/v1/jobs/{waiting}/retry")
        assert (answer.status_code, answer.json()["state"], answer.json()["position"]) == (200, "waiting", 1)


async def test_a_job_nobody_submitted_cannot_run_again(service: Service) -> None:
    answer = await service.http.post("/v1/jobs/none/retry")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")
