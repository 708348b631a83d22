"""The ports of real worker processes: probes and metrics of one, of several under a supervisor, and of those that take their places."""

import asyncio
import re
import signal
import sys

import httpx
import pytest

from runner import Client
from tests.children import start_child
from tests.eventually import eventually
from tests.process.test_supervisor import Start, Supervised
from tests.process.test_supervisor import client as client
from tests.process.test_supervisor import start as start
from tests.servers import free_port

pytest.importorskip("prometheus_client")


async def url_of(supervised: Supervised, kind: str, times: int = 1) -> str:
    """The address that was told first for metrics or health, without its path."""
    said = await supervised.says("answering", times)
    return str(next(fields["url"] for fields in said if fields["kind"] == kind)).rpartition("/")[0]


async def code(http: httpx.AsyncClient, url: str) -> int:
    try:
        return (await http.get(url)).status_code
    except httpx.TransportError:
        return 0


async def page(http: httpx.AsyncClient, url: str) -> str:
    answer = await http.get(f"{url}/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return answer.text


def value(text: str, line: str) -> float:
    """Of a sample by its name and labels."""
    return next((float(found[1]) for found in re.findall(rf"^({re.escape(line)}) (\S+)$", text, re.MULTILINE)), 0.0)


async def test_a_worker_answers_probes_and_prometheus(start: Start, client: Client) -> None:
    worker = await start("--health-port", "0", "--metrics-port", "0")
    async with httpx.AsyncClient(trust_env=False) as http:
        health, metrics = await url_of(worker, "health", 2), await url_of(worker, "metrics", 2)
        assert await code(http, f"{health}/healthz") == 200
        await worker.says("working")
        assert await code(http, f"{health}/readyz") == 200
        assert await code(http, f"{health}/metrics") == 404
        await (await client.submit("nap", {"name": "one"})).wait()
        await eventually(lambda: is_counted(http, metrics, 'runner_attempts_total{outcome="succeeded",queue="supervised",task="nap"}'))
        text = await page(http, metrics)
        assert value(text, 'runner_leader{queue="supervised"}') == 1
        assert value(text, 'runner_workers{queue="supervised"}') == 1

        await client.submit("nap", {"name": "two", "seconds": 3.0})
        await eventually(lambda: len(worker.runs) == 2)
        worker.signal(signal.SIGTERM)

        async def drains() -> bool:
            return await code(http, f"{health}/readyz") == 503

        await eventually(drains)
        assert await code(http, f"{health}/healthz") == 200
    assert await worker.ended() == 0


async def is_counted(http: httpx.AsyncClient, url: str, line: str) -> bool:
    return value(await page(http, url), line) > 0


async def test_workers_of_a_supervisor_have_a_port_each_and_one_of_them_tells_of_the_queue(start: Start, client: Client) -> None:
    first = free_port()
    supervised = await start("--processes", "2", "--metrics-port", str(first), "--health-port", "0")
    health = await url_of(supervised, "health")
    async with httpx.AsyncClient(trust_env=False) as http:
        assert await code(http, f"{health}/healthz") == 200
        await supervised.says("working", 2)
        assert await code(http, f"{health}/readyz") == 200
        urls = [f"http://127.0.0.1:{first}", f"http://127.0.0.1:{first + 1}"]
        handles = [await client.submit("nap", {"name": f"n{number}", "seconds": 0.05}) for number in range(40)]
        for handle in handles:
            await handle.wait()
        counted = 'runner_attempts_total{outcome="succeeded",queue="supervised",task="nap"}'

        async def all_are_counted() -> bool:
            return sum([value(await page(http, url), counted) for url in urls]) == 40

        await eventually(all_are_counted)
        assert sorted(["runner_queue_read" in await page(http, url) for url in urls]) == [False, True]

        # Those that take their places get their ports once those of before have left.
        supervised.signal(signal.SIGHUP)
        await supervised.says("replaced", 2)

        async def are_new() -> bool:
            return all([await code(http, f"{url}/readyz") == 200 and value(await page(http, url), counted) == 0 for url in urls])

        await eventually(are_new)
        supervised.signal(signal.SIGTERM)
    assert await supervised.ended() == 0


async def test_a_port_that_is_taken_ends_a_worker_at_once_with_its_number(start: Start) -> None:
    port = free_port()
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", port)
    worker = await start("--health-port", str(port))

    assert await worker.ended() == 2
    assert f"probes cannot be answered on 127.0.0.1 port {port}" in worker.errors
    server.close()


async def test_a_port_beyond_the_last_one_is_refused(start: Start) -> None:
    supervised = await start("--processes", "3", "--metrics-port", "65534")

    assert await supervised.ended() == 2
    assert "worker 3 would have metrics port 65536" in supervised.errors


async def test_without_the_library_a_worker_says_what_installs_it() -> None:
    program = "import sys; sys.modules['prometheus_client'] = None; from runner.cli import main; main()"
    words = ("worker", "--app", "runner.cli.demo.tasks:jobs", "--redis-url", "redis://127.0.0.1:1", "--metrics-port", "0")
    process = await start_child(sys.executable, "-c", program, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
    output, _ = await process.communicate()

    assert process.returncode == 2
    assert b"pip install 'metered-runner[metrics]'" in output
