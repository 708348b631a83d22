"""A real Prometheus reads a real worker and the API, loads the alerts, and answers each query of the dashboard; promtool checks and tries the alerts."""

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.eventually import PATIENCE_S
from tests.outside.conftest import run
from tests.outside.served import QUEUE, ROOT, Served, served
from tests.servers import free_port

pytestmark = pytest.mark.slow

pytest.importorskip("prometheus_client")

DEPLOY = ROOT / "deploy"
BOARD = json.loads((DEPLOY / "grafana.json").read_text())
QUERIES = {f"{panel['title']} {target['refId']}": target["expr"] for panel in BOARD["panels"] for target in panel.get("targets", ())}
EMPTY = {"Frozen, paused, overridden A", "Frozen, paused, overridden B", "Frozen, paused, overridden C", "Memory B", "Errors A"} | {
    *(f"The provider's own count {target}" for target in "ABC"),
    *(f"Shared limits {target}" for target in "ABCDEF"),
    *(f"Homes of shared limits {target}" for target in "ABCD"),
}
"""Of what does not happen here."""
CONFIGURATION = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: workers
    static_configs: [{{targets: ["127.0.0.1:{worker}"]}}]
  - job_name: api
    authorization: {{credentials_file: {key}}}
    static_configs: [{{targets: ["{api}"]}}]
"""


def test_promtool_accepts_the_alerts_and_each_fires_when_it_is_to(program: Callable[[str], str]) -> None:
    assert "SUCCESS" in run(program("promtool"), "check", "rules", DEPLOY / "alerts.yml")
    assert "SUCCESS" in run(program("promtool"), "test", "rules", "alerts_test.yml", cwd=DEPLOY)


@contextmanager
def prometheus(binary: str, folder: Path, service: Served, worker: int) -> Iterator[httpx.Client]:
    """One that scrapes both each second; what asks it."""
    secret = service.command("keys", "create", "prometheus", "--preset", "observer")["secret"]
    (folder / "key").write_text(secret)
    text = CONFIGURATION.format(rules=DEPLOY / "alerts.yml", worker=worker, key=folder / "key", api=service.url.partition("//")[2])
    (folder / "prometheus.yml").write_text(text)
    port = free_port()
    words = (
        binary, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"
    )  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as http:
            yield http
    finally:
        process.terminate()
        process.wait(timeout=30)


def answer(http: httpx.Client, path: str, **words: str) -> Any:
    said = http.get(f"/api/v1/{path}", params=words)
    assert said.status_code == 200, said.text
    assert said.json()["status"] == "success"
    return said.json()["data"]


def until(holds: Callable[[], bool], what: str) -> None:
    ends = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends:
        try:
            if holds():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.3)
    raise AssertionError(what)


def test_prometheus_reads_workers_and_the_api_and_answers_the_dashboard(program: Callable[[str], str], tmp_path: Path) -> None:
    binary, worker = program("prometheus"), free_port()
    with served(RUNNER_METRICS_PORT=str(worker)) as service, prometheus(binary, tmp_path, service, worker) as http:
        key = {"authorization": f"Bearer {service.command('keys', 'create', 'shop', '--preset', 'admin')['secret']}"}

        def work() -> None:
            jobs: list[dict[str, Any]] = [{"task": "add", "args": {"left": number}} for number in range(5)]
            order = {"sku": "a", "count": 1}
            jobs += [{"task": "charge", "args": {"order": order, "tenant_id": f"t{number}", "tokens": 10}} for number in range(10)]
            jobs += [{"task": "broken", "args": {"text": "no"}}]
            for job in jobs:
                httpx.post(f"{service.url}/v1/jobs", json=job, headers=key, trust_env=False, timeout=60)

        work()
        until(lambda: answer(http, "query", query="up")["result"] != [], "prometheus scrapes nothing")
        until(lambda: [float(one["value"][1]) for one in answer(http, "query", query="up")["result"]] == [1.0, 1.0], "one is not up")

        rules = answer(http, "rules")["groups"][0]["rules"]
        until(lambda: all(rule["health"] == "ok" for rule in answer(http, "rules")["groups"][0]["rules"]), "a rule cannot be evaluated")
        assert len(rules) == len(re.findall(r"- alert:", (DEPLOY / "alerts.yml").read_text()))

        silent = dict(QUERIES)
        ends = time.monotonic() + PATIENCE_S
        while silent.keys() - EMPTY and time.monotonic() < ends:
            work()
            for name, query in list(silent.items()):
                text = query.replace("$__rate_interval", "1m").replace("$queue", QUEUE)
                if answer(http, "query", query=text)["result"]:
                    del silent[name]
            time.sleep(1)
        assert silent.keys() - EMPTY == set()
        both = answer(http, "query", query=f'count by (job) (runner_leader{{queue="{QUEUE}"}} == 1)')["result"]
        assert {one["metric"]["job"] for one in both} == {"workers", "api"}
