"""Where the service listens: without keys on this machine only; on a unix socket, which is there for those whom its mode names."""

import asyncio
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from runner import ConfigurationError, Runner
from runner.http import create_app
from runner.http.listening import is_loopback
from runner.http.server import serve
from tests.eventually import PATIENCE_S
from tests.http.test_keys import eventually_closed, made, problem
from tests.http.uvicorn_server import serving


@asynccontextmanager
async def listening(app: Runner, **options: Any) -> AsyncIterator[str]:
    """The service, where it says that it listens; stopped at the end."""
    started = asyncio.get_running_loop().create_future()
    stopping = asyncio.Event()
    serving = asyncio.create_task(
        serve(app.queue, settings=app.settings, port=0, on_started=started.set_result, stopping=stopping, **options)
    )
    await asyncio.wait({serving, started}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        await serving
    yield started.result()
    stopping.set()
    async with asyncio.timeout(PATIENCE_S):
        await serving


@pytest.fixture
def own_address() -> str:
    """An address of this machine that is not loopback: from there it is a stranger to itself."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but loopback")
        return str(probe.getsockname()[0])


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_only_loopback_is_this_machine_alone(host: str) -> None:
    assert not is_loopback(host)
    assert all(is_loopback(own) for own in ("127.0.0.1", "127.9.9.9", "::1", "localhost"))


async def test_without_keys_it_refuses_to_listen_for_others_and_names_both_ways_out(app: Runner) -> None:
    with pytest.raises(ConfigurationError, match=r"keys create .*--insecure-no-auth"):
        async with listening(app, host="0.0.0.0"):
            pass


async def test_with_a_key_it_listens_everywhere(app: Runner, own_address: str) -> None:
    key = await made(app)
    async with listening(app, host="0.0.0.0") as url, httpx.AsyncClient(trust_env=False) as http:
        port = url.rpartition(":")[2]
        for address in ("127.0.0.1", own_address):
            assert problem(await http.get(f"http://{address}:{port}/v1/tasks")) == (401, "unauthenticated")
            assert (await http.get(f"http://{address}:{port}/v1/tasks", headers=key)).status_code == 200


async def test_if_asked_to_it_serves_strangers_until_there_is_a_key(app: Runner, own_address: str) -> None:
    async with listening(app, host="0.0.0.0", insecure=True) as url, httpx.AsyncClient(trust_env=False) as http:
        away = f"http://{own_address}:{url.rpartition(':')[2]}/v1/tasks"
        assert (await http.get(away)).status_code == 200
        key = await made(app)
        await eventually_closed(http, away)
        assert (await http.get(away, headers=key)).status_code == 200


async def test_a_stranger_is_refused_whatever_server_runs_the_app_without_keys(app: Runner, own_address: str) -> None:
    """As `uvicorn --host 0.0.0.0` would."""
    async with serving(create_app(lambda: app.client), host="0.0.0.0") as http:
        assert (await http.get("/v1/tasks")).status_code == 200
        answer = await http.get(f"http://{own_address}:{http.base_url.port}/v1/tasks")
        assert problem(answer) == (403, "forbidden")
        assert "keys create" in answer.json()["detail"]


async def test_a_unix_socket_is_for_those_whom_its_mode_names(app: Runner, tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    async with listening(app, uds=str(path), uds_mode=0o600) as where:
        assert where == f"unix:{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(path)), base_url="http://localhost") as http:
            assert (await http.get("/v1/tasks")).status_code == 200
            key = await made(app)
            await eventually_closed(http, "/v1/tasks")
            assert (await http.get("/v1/tasks", headers=key)).status_code == 200
    assert not path.exists()


async def test_a_socket_that_nobody_listens_on_is_replaced_and_no_other(app: Runner, tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))
    async with listening(app, uds=str(path)):
        with pytest.raises(OSError, match="another process listens"):
            async with listening(app, uds=str(path)):
                pass
        assert path.exists()
    path.write_text("precious")
    with pytest.raises(ConfigurationError, match="is no socket"):
        async with listening(app, uds=str(path)):
            pass
    assert path.read_text() == "precious"
    path.unlink()
    with pytest.raises(ConfigurationError, match="more than 100 bytes"):
        async with listening(app, uds=str(tmp_path / ("x" * 100))):
            pass
