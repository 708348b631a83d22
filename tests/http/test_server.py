"""Starting and stopping the service."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvloop

from runner import ConfigurationError, Runner, load_settings
from runner.http.listening import listen
from runner.http.server import serve
from tests.app_internals import store_of
from tests.eventually import PATIENCE_S, eventually
from tests.http.conftest import Service, serving
from tests.pace import Pace

STOP_S = 1.0

SCRIPT = """
import asyncio, sys
from runner.http import server
from runner import load_settings
server._GRACE_S = 600
started = lambda url: open(sys.argv[3], "w").write(url)
asyncio.run(server.serve(sys.argv[2], settings=load_settings(redis_url=sys.argv[1]), port=0, on_started=started))
"""
"""A service that would wait ten minutes for its last requests, so that one which ends within a test has not waited for them."""


async def test_a_stop_answers_those_who_wait_and_ends_at_once(app: Runner, redis_url: str, pace: Pace) -> None:
    async with serving(app.settings, app.queue) as service:
        job_id = await service.submit("held")
        waiting = [asyncio.create_task(service.http.get(f"/v1/jobs/{job_id}", params={"wait": 60})) for _ in range(5)]
        await eventually(lambda: sum("JobHandle.wait" in repr(task) for task in asyncio.all_tasks()) == 5)
        service.stopping.set()
        stopped_s = pace.now_s
        await asyncio.wait({service.task}, timeout=PATIENCE_S)
        assert service.task.done()
        assert pace.now_s - stopped_s < STOP_S
        assert [(answer.status_code, answer.json()["state"]) for answer in await asyncio.gather(*waiting)] == [(200, "queued")] * 5


async def test_answers_are_not_held_back(service: Service) -> None:
    async def is_prompt() -> bool:
        started_s = time.monotonic()
        await service.http.post("/v1/jobs", json={"task": "add", "args": {"left": 1}})
        return time.monotonic() - started_s < 0.03

    # Held back for the acknowledgement of the headers, each takes 40 ms, and none ever less.
    await eventually(is_prompt)


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_no_answer_waits_for_an_acknowledgement_on_either_loop(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def accepted() -> socket.socket:
        connection: asyncio.Future[socket.socket] = asyncio.get_running_loop().create_future()

        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            duplicate = socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno()))
            writer.close()
            await writer.wait_closed()
            connection.set_result(duplicate)

        listener = listen("127.0.0.1", 0)
        # What is inherited from the listening socket would hide whether the loop sets it.
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0
        async with await asyncio.start_server(answer, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            found = await connection
            writer.close()
            await writer.wait_closed()
            return found

    with asyncio.Runner(loop_factory=new_loop) as loop, loop.run(accepted()) as connection:
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


async def test_a_port_in_use_is_an_error_of_the_call(service: Service, app: Runner) -> None:
    with pytest.raises(OSError, match="in use"):
        await serve(app.queue, settings=app.settings, port=int(service.url.rpartition(":")[2]))


async def test_without_any_redis_to_use_the_call_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNNER_REDIS_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="RUNNER_REDIS_URL"):
        await serve(settings=load_settings(), port=0)


async def test_an_address_of_version_six_is_served(app: Runner) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no ::1")
    started: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stopping = asyncio.Event()
    task = asyncio.create_task(
        serve(app.queue, settings=app.settings, host="::1", port=0, on_started=started.set_result, stopping=stopping)
    )
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(f"{await started}/healthz")).status_code == 200
    stopping.set()
    await task


async def test_a_signal_ends_a_process_with_a_wait_under_way_and_it_has_said_nothing(app: Runner, redis_url: str, tmp_path: Path) -> None:
    with process(redis_url, app.queue, tmp_path / "url") as server:
        url = await eventually(lambda: read(tmp_path / "url"))
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as http:
            job_id = (await http.post("/v1/jobs", json={"task": "held"})).json()["id"]
            waiting = asyncio.create_task(http.get(f"/v1/jobs/{job_id}", params={"wait": 60}))
            await eventually(lambda: watched(app, job_id))
            os.kill(server.pid, signal.SIGTERM)
            assert (await waiting).json()["state"] == "queued"
        await eventually(lambda: server.poll() is not None)
        assert server.returncode == 0
        printed, logged = server.communicate()
        # The server of the tests keeps no append-only file.
        assert (printed, [line for line in logged.splitlines() if b"append-only file is off" not in line]) == (b"", [])


async def test_a_second_signal_does_not_wait_for_a_request_that_never_comes(app: Runner, redis_url: str, tmp_path: Path) -> None:
    with process(redis_url, app.queue, tmp_path / "url") as server:
        url = httpx.URL(await eventually(lambda: read(tmp_path / "url")))
        _, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(b"POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{")
        async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
            await http.get("/healthz")
        os.kill(server.pid, signal.SIGTERM)
        await eventually(lambda: refused(url))
        assert server.poll() is None
        os.kill(server.pid, signal.SIGTERM)
        await eventually(lambda: server.poll() is not None)
        writer.close()
        assert server.returncode == 0


@contextmanager
def process(redis_url: str, queue: str, url: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A service in a process of its own, which is gone afterwards, also if the test failed."""
    command = [sys.executable, "-c", SCRIPT, redis_url, queue, str(url)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as server:
        try:
            yield server
        finally:
            server.kill()


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def refused(url: httpx.URL) -> bool:
    """Whether nobody listens there any more."""
    with socket.socket() as probe:
        return probe.connect_ex((url.host, url.port or 0)) != 0


async def watched(app: Runner, job_id: str) -> bool:
    """Whether somebody waits for this job's end."""
    return bool(await store_of(app).redis.hexists(store_of(app).keys.job(job_id), "watched"))
