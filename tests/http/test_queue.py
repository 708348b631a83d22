"""What a queue is made of, over HTTP; health; the texts of problems."""

import os

import pytest

from runner import Worker
from runner.http.problem_kinds import KINDS
from tests.eventually import eventually
from tests.http.conftest import Service


async def test_every_task_is_listed_with_its_parameters(service: Service) -> None:
    tasks = {task["name"]: task for task in (await service.http.get("/v1/tasks")).json()["tasks"]}
    assert set(tasks) == {"add", "broken", "echo", "held", "keyed", "scarce"}
    add = tasks["add"]
    assert (add["description"], add["priority"], add["limits"], add["cost"]) == ("Add two numbers.", "normal", [], {})
    assert add["parameters"]["properties"]["right"]["default"] == 1
    assert tasks["scarce"]["limits"] == ["slow"]


async def test_limits_show_their_live_tokens(service: Service, worker: Worker) -> None:
    for number in range(2):
        job_id = await service.submit("scarce", args={"number": number})
        await service.http.get(f"/v1/jobs/{job_id}", params={"wait": 10})
    await service.submit("scarce")
    limits = {limit["name"]: limit for limit in (await service.http.get("/v1/limits")).json()["limits"]}
    slow = limits["slow"]
    policy = {"kind": "token_bucket", "key": None, "capacity": 2, "refill": 1, "smooth": False, "every_s": 3600.0}
    assert slow["policy"] == slow["policy"] | policy
    assert not slow["policy"].keys() & {"every_us", "step_us", "credits_a_step"}
    (bucket,) = slow["buckets"]
    assert (bucket["bucket"], bucket["tokens"], bucket["waiting"], bucket["frozen_s"]) == ("slow", 0, 1, 0)
    assert 3500 < bucket["next_token_s"] <= 3600
    assert (limits["tenant"]["policy"]["key"], limits["tenant"]["buckets"]) == ("{tenant}", [])


async def test_workers_are_listed_with_their_leader(service: Service, worker: Worker) -> None:
    (listed,) = (await service.http.get("/v1/workers")).json()["workers"]
    assert (listed["id"], listed["pid"], listed["slots"], listed["leader"]) == (worker.id, os.getpid(), 10, True)
    assert "add" in listed["tasks"]

    async def has_renewed() -> bool:
        (told,) = (await service.http.get("/v1/workers")).json()["workers"]
        is_told = told["busy"] == 0 and told["stall_ms"] is not None and (told["memory_bytes"] or 0) > 1_000_000
        return is_told and bool(told["renewed_at"] >= told["enlisted_at"])

    await eventually(has_renewed)


async def test_the_server_of_the_queue_tells_what_it_does_when_it_is_full(service: Service) -> None:
    told = (await service.http.get("/v1/server")).json()
    assert (told["name"], told["memory_policy"], told["clients"] > 0) == ("valkey", "noeviction", True)


async def test_without_a_worker_the_list_is_empty(service: Service) -> None:
    assert (await service.http.get("/v1/workers")).json() == {"workers": []}


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_a_service_with_its_redis_is_well(service: Service, path: str) -> None:
    answer = await service.http.get(path)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_every_kind_of_problem_is_explained(service: Service) -> None:
    for name, kind in KINDS.items():
        answer = await service.http.get(f"/problems/{name}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain")
        assert kind.title in answer.text
    answer = await service.http.get("/problems/unheard-of")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")


async def test_a_task_is_shown_as_served_and_can_be_removed_once_no_worker_serves_it(service: Service) -> None:
    (task,) = [task for task in (await service.http.get("/v1/tasks")).json()["tasks"] if task["name"] == "echo"]
    assert (task["served"], task["served_until"], task["held"], task["fault"]) == (False, None, 0, None)

    removed = await service.http.delete("/v1/tasks/echo")
    assert (removed.status_code, removed.json()["name"]) == (200, "echo")

    again = await service.http.delete("/v1/tasks/echo")
    assert (again.status_code, again.json()["type"]) == (404, "/problems/unknown-task")


async def test_a_served_task_is_not_removed(service: Service, worker: object) -> None:
    refused = await service.http.delete("/v1/tasks/echo")

    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/task-served")
    assert {task["name"]: task["served"] for task in (await service.http.get("/v1/tasks")).json()["tasks"]}["echo"]


async def test_pools_are_listed_with_what_is_in_them(service: Service, worker: Worker) -> None:
    job_id = await service.submit("add", args={"left": 1}, pool="gpu")
    job = (await service.http.get(f"/v1/jobs/{job_id}")).json()
    assert (job["state"], job["reason"], job["pool"]) == ("queued", "no worker", "gpu")

    default, gpu = (await service.http.get("/v1/pools")).json()["pools"]
    assert (default["name"], default["readers"], default["slots"], default["used_at"]) == ("default", 1, 10, None)
    assert (gpu["name"], gpu["ready"], gpu["running"], gpu["readers"]) == ("gpu", 1, 0, 0)
    refused = await service.http.post("/v1/jobs", json={"task": "add", "args": {"left": 1}, "pool": "g p u"})
    assert refused.status_code == 422
