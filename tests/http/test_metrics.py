"""/metrics of the service: what it tells, who may read it, and that all who ask share one reading."""

import asyncio
import re
from typing import Any

import pytest

from runner import Client, HttpClient, Runner, Worker
from runner.errors import MissingExtra
from runner.store import JobStore
from runner.telemetry import QUEUE
from tests.http.conftest import Service
from tests.http.test_keys import bearer, eventually_closed

pytest.importorskip("prometheus_client")


def value(text: str, line: str) -> float:
    """Of a sample by its name and labels."""
    (found,) = re.findall(rf"^{re.escape(line)} (\S+)$", text, re.MULTILINE)
    return float(found)


async def test_the_figures_are_those_of_the_queue(service: Service, app: Runner, worker: Worker) -> None:
    for number in range(3):
        await service.submit("scarce", args={"number": number})
    await service.submit("scarce", args={"number": 3})
    await asyncio.sleep(0)
    answer = await service.http.get("/metrics")
    text = answer.text

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert answer.headers["cache-control"] == "no-store"
    assert set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)) == {metric.name for metric in QUEUE}
    name = app.queue
    assert value(text, f'runner_jobs{{queue="{name}",reason="tokens",state="waiting"}}') == 2
    assert value(text, f'runner_limit_waiting{{limit="slow",queue="{name}"}}') == 2
    assert value(text, f'runner_limit_capacity{{limit="slow",queue="{name}"}}') == 2
    assert value(text, f'runner_leader{{queue="{name}"}}') == 1
    assert value(text, f'runner_pool_readers{{pool="default",queue="{name}"}}') == 1


async def test_only_who_may_see_statistics_reads_them(service: Service, app: Runner) -> None:
    made = app.client.keys.create
    observer = bearer((await made("prometheus", preset="observer")).secret)
    producer = bearer((await made("shop", preset="producer")).secret)
    await eventually_closed(service.http)

    assert (await service.http.get("/metrics")).status_code == 401
    assert (await service.http.get("/metrics", headers=producer)).status_code == 403
    assert (await service.http.get("/metrics", headers=observer)).status_code == 200


async def test_both_clients_read_the_same_page(service: Service, app: Runner, worker: Worker) -> None:
    async with HttpClient(service.url) as over_http:
        body, content_type = await over_http.metrics()
    direct, same_type = await app.client.metrics()

    assert content_type == same_type
    assert set(re.findall(rb"^# TYPE (\S+)", body, re.MULTILINE)) == set(re.findall(rb"^# TYPE (\S+)", direct, re.MULTILINE)) != set()


async def test_fifty_scrapers_at_once_cost_one_reading(service: Service, app: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    run = JobStore._run

    async def counted(self: Any, name: str, *args: Any, **named: Any) -> Any:
        calls.append(name)
        return await run(self, name, *args, **named)

    monkeypatch.setattr(JobStore, "_run", counted)
    answers = await asyncio.gather(*(service.http.get("/metrics") for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    readings = calls.count("pools")

    # The clock of a busy machine may pass a second meanwhile; fifty readings would be fifty.
    assert 1 <= readings <= 3
    assert len([name for name in calls if name != "keys"]) <= 2 * readings


async def test_without_the_library_the_service_says_what_installs_it(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    async def missing(_: Client) -> tuple[bytes, str]:
        raise MissingExtra("metrics needs the package prometheus-client, which is not installed: pip install 'metered-runner[metrics]'")

    monkeypatch.setattr(Client, "metrics", missing)
    answer = await service.http.get("/metrics")

    assert answer.status_code == 501
    assert answer.json()["type"].endswith("/problems/missing-extra")
    assert "pip install 'metered-runner[metrics]'" in answer.json()["detail"]
