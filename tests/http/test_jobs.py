"""One job over HTTP: status, waiting for its end, cancelling."""

import asyncio
import time
from datetime import UTC, datetime

from redis.asyncio import Redis

from runner import Runner, Worker
from runner.http.schemas import Job
from tests.eventually import eventually
from tests.http.conftest import Gate, Service
from tests.pace import Pace


async def test_the_status_of_a_finished_job_is_complete(service: Service, worker: Worker) -> None:
    before = datetime.now(UTC)
    job_id = await service.submit("add", args={"left": 2}, priority="low", id="sum-1")
    body = (await service.http.get(f"/v1/jobs/{job_id}", params={"wait": 10})).json()
    times = [datetime.fromisoformat(body.pop(name)) for name in ("submitted_at", "started_at", "finished_at")]
    assert body == {
        "id": "sum-1",
        "task": "add",
        "state": "succeeded",
        "reason": None,
        "limit": None,
        "bucket": None,
        "position": None,
        "eta_s": None,
        "end_eta_s": None,
        "shared": None,
        "priority": "low",
        "attempt": 1,
        "failures": 0,
        "crashes": 0,
        "throttled": 0,
        "cancel_requested": False,
        "args": {"left": 2},
        "result": 3,
        "result_bytes": 1,
        "error": None,
        "attempts": [],
        "progress": None,
        "deadline_at": None,
        "pool": "default",
        "worker": worker.id,
        "costs": {},
        "ready_at": None,
        "pause": None,
        "tags": [],
        "metadata": {},
        "trace_id": None,
        "explanation": None,
        "story": None,
        "problem": None,
    }
    assert times == sorted(times)
    assert all(at.utcoffset() is not None and abs((at - before).total_seconds()) < 30 for at in times)


async def test_an_answer_has_what_its_description_says_whether_fastapi_checks_the_request_or_not(service: Service) -> None:
    path = f"/v1/jobs/{await service.submit('scarce')}"
    unchecked, checked = [(await service.http.get(path, params=params)).json() for params in ({}, {"wait": "0", "explain": "false"})]
    assert unchecked == checked
    assert unchecked.keys() == Job.model_fields.keys()
    assert Job.model_validate(unchecked).model_dump(mode="json") == unchecked


async def test_times_are_written_in_utc(service: Service) -> None:
    job_id = await service.submit("add", args={"left": 2})
    assert (await service.http.get(f"/v1/jobs/{job_id}")).json()["submitted_at"].endswith("Z")


async def test_a_failed_job_tells_its_error(service: Service, worker: Worker) -> None:
    job_id = await service.submit("broken", args={"text": "no such order"})
    body = (await service.http.get(f"/v1/jobs/{job_id}", params={"wait": 10})).json()
    assert (body["state"], body["result"], body["error"]["type"]) == ("failed", None, "ValueError")
    assert body["error"]["message"] == "no such order"


async def test_an_unknown_job_is_not_found_at_once_even_when_waited_for(service: Service, pace: Pace) -> None:
    started_s = pace.now_s
    for method, path in (("GET", "/v1/jobs/none"), ("GET", "/v1/jobs/none?wait=20"), ("DELETE", "/v1/jobs/none")):
        answer = await service.http.request(method, path)
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")
    assert pace.now_s - started_s < 5


async def test_a_wait_ends_when_the_job_does(service: Service, worker: Worker, gate: Gate, pace: Pace) -> None:
    job_id = await service.submit("held")
    waiting = asyncio.create_task(service.http.get(f"/v1/jobs/{job_id}", params={"wait": 30}))
    await gate.started.wait()
    gate.open.set()
    opened_s = pace.now_s
    assert (await waiting).json()["result"] == "let go"
    assert pace.now_s - opened_s < 1


async def test_a_wait_ends_when_the_time_is_up(service: Service, pace: Pace) -> None:
    job_id = await service.submit("held")
    started_s, paced_s = time.monotonic(), pace.now_s
    answer = await service.http.get(f"/v1/jobs/{job_id}", params={"wait": 0.3})
    assert (answer.status_code, answer.json()["state"]) == (200, "queued")
    assert time.monotonic() - started_s >= 0.3
    assert pace.now_s - paced_s < 2


async def test_waiting_sends_redis_nothing(service: Service, redis: Redis) -> None:
    ids = [await service.submit("held") for _ in range(20)]
    waits = [asyncio.create_task(service.http.get(f"/v1/jobs/{job_id}", params={"wait": 60})) for job_id in ids]
    await eventually(lambda: waits_of_requests() == 20)
    # Each asks, and subscribes its job to the announcement of its end.
    before = await silent(redis)
    await asyncio.sleep(1)
    assert await commands(redis) == before
    assert not any(wait.done() for wait in waits)
    for job_id in ids:
        await service.http.delete(f"/v1/jobs/{job_id}")
    assert [answer.json()["state"] for answer in await asyncio.gather(*waits)] == ["cancelled"] * 20


async def silent(redis: Redis) -> dict[str, int]:
    """The commands served so far, once that has not changed over 20 looks."""
    looks: list[dict[str, int]] = []

    async def unchanged() -> bool:
        looks.append(await commands(redis))
        return len(looks) > 20 and looks[-20] == looks[-1]

    await eventually(unchanged)
    return looks[-1]


async def commands(redis: Redis) -> dict[str, int]:
    """How often each command was served, apart from asking this and keeping the subscription alive."""
    stats = await redis.info("commandstats")
    return {name: row["calls"] for name, row in stats.items() if name not in ("cmdstat_info", "cmdstat_ping")}


async def test_a_caller_that_goes_away_is_waited_for_no_longer(service: Service) -> None:
    job_id = await service.submit("held")
    waits = [asyncio.create_task(service.http.get(f"/v1/jobs/{job_id}", params={"wait": 60})) for _ in range(3)]
    await eventually(lambda: waits_of_requests() == 3)
    for wait in waits:
        wait.cancel()
    await asyncio.gather(*waits, return_exceptions=True)
    await eventually(lambda: waits_of_requests() == 0)


def waits_of_requests() -> int:
    """Tasks of this loop that wait for a job's end."""
    return sum("JobHandle.wait" in repr(task) for task in asyncio.all_tasks())


async def test_a_job_in_line_is_cancelled_at_once_and_twice_is_the_same(service: Service) -> None:
    job_id = await service.submit("add", args={"left": 1})
    first, again = [await service.http.delete(f"/v1/jobs/{job_id}") for _ in range(2)]
    assert (first.status_code, first.json()["state"], first.json()["cancel_requested"]) == (200, "cancelled", False)
    assert (again.status_code, again.json()) == (200, first.json())


async def test_a_running_job_is_asked_to_stop(service: Service, worker: Worker, gate: Gate) -> None:
    job_id = await service.submit("held")
    await gate.started.wait()
    answer = await service.http.delete(f"/v1/jobs/{job_id}")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["state"], body["cancel_requested"]) in [("running", True), ("cancelled", False)]
    ended = (await service.http.get(f"/v1/jobs/{job_id}", params={"wait": 20})).json()
    assert ended["state"] == "cancelled"


async def test_a_finished_job_cannot_be_cancelled(service: Service, worker: Worker) -> None:
    job_id = await service.submit("add", args={"left": 1})
    await service.http.get(f"/v1/jobs/{job_id}", params={"wait": 10})
    answer = await service.http.delete(f"/v1/jobs/{job_id}")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/already-finished")


async def test_a_job_may_be_called_batch(service: Service) -> None:
    await service.submit("add", args={"left": 1}, id="batch")
    assert (await service.http.get("/v1/jobs/batch")).json()["id"] == "batch"


async def test_a_job_of_another_producer_is_found(service: Service, app: Runner) -> None:
    handle = await app.tasks["add"].submit(4)
    assert (await service.http.get(f"/v1/jobs/{handle.id}")).json()["args"] == {"left": 4}


async def test_many_jobs_are_asked_for_at_once_without_what_they_carry(service: Service, worker: Worker) -> None:
    ended, waiting = await service.submit("echo", args={"value": "x"}), await service.submit("add", args={"left": 1}, delay=60)
    await service.http.get(f"/v1/jobs/{ended}?wait=20")
    answer = await service.http.get("/v1/jobs", params={"id": [waiting, "nothing", ended, waiting]})
    first, unknown, second, again = answer.json()["jobs"]
    assert (first["state"], unknown, second["state"], again) == ("scheduled", None, "succeeded", first)
    assert (second["args"], second["result"]) == (None, None)
    for query in ("?id=a%20b", f"?{'&'.join(['id=x'] * 101)}"):
        assert (await service.http.get(f"/v1/jobs{query}")).status_code == 422, query


async def test_a_result_can_be_left_out_and_its_size_is_told(service: Service, worker: Worker) -> None:
    job_id = await service.submit("echo", args={"value": "four"})
    whole = (await service.http.get(f"/v1/jobs/{job_id}?wait=20")).json()
    bare = (await service.http.get(f"/v1/jobs/{job_id}?result=none")).json()
    assert (whole["result"], whole["result_bytes"]) == ("four", 6)
    assert bare == {**whole, "result": None}


async def test_arguments_that_do_not_fit_are_told_from_other_faults(service: Service) -> None:
    body = {"task": "add", "args": {"left": "x"}}
    alone = (await service.http.post("/v1/jobs", json=body)).json()
    together = (await service.http.post("/v1/jobs/batch", json={"jobs": [body]})).json()
    assert [fault["pointer"] for fault in (*alone["errors"], *together["errors"])] == ["#/args", "#/jobs/0/args"]


async def test_a_reason_names_the_key_of_who_gave_it_once(app: Runner, service: Service) -> None:
    secret = (await app.client.keys.create("night watch", preset="admin")).secret
    headers = {"authorization": f"Bearer {secret}"}
    for method, path, more in (("put", "", {"capacity": 3}), ("post", "/pause", {})):
        shown = (await service.http.request(method, f"/v1/limits/slow{path}", json={"reason": "sale", **more}, headers=headers)).json()
        reason = (shown["paused"] or shown["override"])["reason"]
        assert (reason.count("night watch"), reason.endswith(": sale")) == (1, True)
