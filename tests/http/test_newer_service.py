"""A client beside a service of a newer version, whose answers have fields that the client does not know."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from runner import HttpClient, JobFilter, JobOptions, Runner, Worker
from runner.http_client import documents
from tests.eventually import PATIENCE_S
from tests.http.conftest import Service

OF_USERS = {"args", "result", "metadata", "days", "octaves", "counts", "jobs_by_state", "costs", "code", "policy", "override"}
"""What holds words of users, numbers by name, or a declaration, whose unknown words are another matter."""


def with_more(value: Any) -> Any:
    """The same with one more field in each object."""
    if isinstance(value, list):
        return [with_more(one) for one in value]
    if not isinstance(value, dict):
        return value
    told = {name: one if name in OF_USERS else with_more(one) for name, one in value.items()}
    return told | {"of_a_later_version": 1}


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "json", SimpleNamespace(loads=lambda text: with_more(json.loads(text))))


async def test_what_a_newer_service_tells_besides_is_left_out(newer: None, app: Runner, service: Service, worker: Worker) -> None:
    async with HttpClient(service.url) as client:
        handle = await client.submit("echo", {"value": "a"}, JobOptions(id="j1"))
        assert await handle.result(timeout=PATIENCE_S) == "a"
        broken = await client.submit("broken", {"text": "no"}, JobOptions(id="j2"))
        await broken.wait(timeout=PATIENCE_S)
        for number in range(4):
            await client.submit("scarce", {"number": number})
        status = await broken.status()
        assert [attempt.attempt for attempt in status.attempts] == [1]
        assert [each and each.id for each in await client.statuses(["j1", "j2"])] == ["j1", "j2"]
        assert (await client.foresee("echo", {"value": "b"})).created
        assert {task.name for task in await client.tasks()} >= {"echo", "broken"}
        assert [limit.name for limit in await client.limits()] == ["slow", "tenant"]
        assert [each.id for each in await client.workers()] == [worker.id]
        assert [pool.name for pool in await client.pools()] == ["default"]
        assert (await client.server()).memory_bytes
        assert (await client.overview()).workers == 1
        assert (await client.waiting_line("slow")).jobs
        assert {job.id for job in (await client.jobs(JobFilter(task="broken"))).jobs} == {"j2"}
        assert (await client.job_counts()).failed == 1
        assert [letters.task for letters in await client.dead_letters()] == ["broken"]
        assert [series.name for series in await client.history("q")] == ["q"]
        pause = await client.pauses.pause("task", "held", reason="repair")
        assert [each.reason for each in await client.pauses.list()] == [pause.reason]
        schedule = await client.schedules.add("hourly", "echo", {"value": 1}, every=3_600)
        assert [each.name for each in await client.schedules.list()] == [schedule.name]
        bulk = await client.bulk.begin("cancel", JobFilter(task="scarce"))
        assert (await client.bulk.counted(bulk.id, PATIENCE_S)).id == bulk.id
