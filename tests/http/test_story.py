"""The story of a job: pieces of time that follow each other, and what happened, however its attempts ended."""

from dataclasses import replace
from typing import Any

import pytest

from runner import AttemptRecord, JobStatus, State, Worker
from runner.http.schemas import Story
from runner.http.story import story_document
from runner.jobs import JobError
from tests.http.conftest import Service

AT = 1_800_000_000.0
JOB = JobStatus("j", "charge", State.waiting, submitted_at=AT)


def attempt(number: int, after_s: float, ran_s: float) -> AttemptRecord:
    return AttemptRecord(number, AT + after_s, ran_s, "w-1", "CardDeclined", "no")


def pieces(status: JobStatus) -> list[tuple[Any, ...]]:
    """Each piece with its seconds since the submission. No piece begins before the end of the one before it."""
    told = Story.model_validate(story_document(status))
    for before, after in zip(told.spans, told.spans[1:], strict=False):
        assert before.to == after.begin
    assert [one.at for one in told.events] == sorted(one.at for one in told.events)
    return [
        (one.what, round(one.begin.timestamp() - AT, 3), None if one.to is None else round(one.to.timestamp() - AT, 3))
        for one in told.spans
    ]


def happened(status: JobStatus) -> list[str]:
    return [one["text"] + (f" ({one['detail']})" if one["detail"] else "") for one in story_document(status)["events"]]


def test_a_job_that_succeeded_waited_and_ran() -> None:
    done = replace(JOB, state=State.succeeded, attempt=1, started_at=AT + 2, finished_at=AT + 5, worker="w-1")

    assert pieces(done) == [("waiting", 0, 2), ("running", 2, 5)]
    assert happened(done) == ["Submitted (charge)", "Attempt 1 on w-1", "Succeeded"]


def test_a_delay_is_told_from_the_wait_after_it() -> None:
    assert pieces(replace(JOB, state=State.scheduled)) == [("scheduled", 0, None)]
    assert pieces(replace(JOB, ready_at=AT + 10)) == [("scheduled", 0, 10), ("waiting", 10, None)]
    running = replace(JOB, state=State.running, ready_at=AT + 10, attempt=1, started_at=AT + 12)
    assert pieces(running) == [("scheduled", 0, 10), ("waiting", 10, 12), ("running", 12, None)]


def test_the_wait_that_lasts_names_its_bucket() -> None:
    assert story_document(replace(JOB, bucket="tenant/t7"))["spans"][-1]["bucket"] == "tenant/t7"


def test_failed_attempts_are_told_with_their_errors_and_the_last_one_once() -> None:
    two = (attempt(1, 1, 2), attempt(2, 10, 1))
    failed = replace(
        JOB, state=State.failed, attempt=2, attempts=two, started_at=AT + 10, ready_at=AT + 9, finished_at=AT + 11, error=JobError("E", "x")
    )

    assert pieces(failed) == [("waiting", 0, 1), ("failed", 1, 3), ("scheduled", 3, 9), ("waiting", 9, 10), ("failed", 10, 11)]
    assert happened(failed)[-3:] == ["Attempt 2 on w-1", "Attempt 2 failed (CardDeclined: no)", "Failed"]


def test_attempts_of_which_nothing_is_kept_are_said_to_be_so() -> None:
    many = replace(
        JOB, state=State.scheduled, attempt=13, attempts=(attempt(1, 1, 1), attempt(12, 50, 1)), started_at=AT + 60, ready_at=AT + 70
    )

    assert pieces(many) == [
        *(("waiting", 0, 1), ("failed", 1, 2), ("unknown", 2, 50), ("failed", 50, 51), ("waiting", 51, 60)),
        *(("running", 60, 70), ("scheduled", 70, None)),
    ]
    assert story_document(many)["spans"][2]["text"] == "attempts 2 to 11, of which nothing is kept"


def test_an_attempt_that_its_provider_told_to_wait_is_over_though_no_record_is_kept_of_it() -> None:
    told = replace(JOB, attempt=1, throttled=1, started_at=AT + 2, ready_at=AT + 3)

    assert pieces(told) == [("waiting", 0, 2), ("throttled", 2, 3), ("waiting", 3, None)]
    assert happened(told)[-1] == "Told to wait by its provider"
    assert pieces(replace(told, state=State.cancelled, finished_at=AT + 9))[-1] == ("waiting", 3, 9)


def test_a_job_that_ended_before_it_began_tells_why() -> None:
    expired = replace(JOB, state=State.expired, finished_at=AT + 30, error=JobError("expired", "it waited too long"))

    assert pieces(expired) == [("waiting", 0, 30)]
    assert happened(expired) == ["Submitted (charge)", "Expired (expired: it waited too long)"]


def test_a_damaged_record_has_no_story() -> None:
    assert story_document(replace(JOB, submitted_at=None)) == {"events": [], "spans": []}


async def test_the_service_tells_it_with_the_worker_and_the_costs_of_the_job(service: Service, worker: Worker) -> None:
    job_id = await service.submit("broken", args={"text": "no such order"})
    await service.http.get(f"/v1/jobs/{job_id}", params={"wait": 10})
    job = (await service.http.get(f"/v1/jobs/{job_id}", params={"story": 1})).json()

    assert [one["what"] for one in job["story"]["events"]] == ["submitted", "running", "failed", "failed"]
    assert job["story"]["events"][-2]["detail"] == "ValueError: no such order"
    assert job["worker"] == worker.id
    scarce = await service.submit("scarce")
    assert (await service.http.get(f"/v1/jobs/{scarce}")).json()["costs"] == {"slow": 1}


@pytest.mark.parametrize("beside", ["story", "explain"])
async def test_beside_a_raw_result_there_is_no_room_for_it(service: Service, beside: str) -> None:
    answer = await service.http.get("/v1/jobs/any", params={"result": "raw", beside: 1})

    assert (answer.status_code, beside in answer.json()["detail"]) == (422, True)
