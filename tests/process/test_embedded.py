"""The embedded server through starts in parallel, exits and kills of its users and of itself."""

import asyncio
import importlib.metadata
import os
import signal
import sys
import threading
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from runner.connection import redis_url
from runner.connection.embedded import OPTIONS, EmbeddedServer
from runner.errors import ConfigurationError
from runner.settings import Settings
from tests.conftest import connect
from tests.eventually import eventually

StartUser = Callable[[Path], Awaitable[Process]]


@pytest.fixture
async def start_user() -> AsyncIterator[StartUser]:
    """Starts another process that uses the server of a folder."""
    async with AsyncExitStack() as stack:

        async def start(folder: Path) -> Process:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.process.embedded_user", str(folder), stdin=PIPE, stdout=PIPE
            )
            stack.push_async_callback(leave, process)
            return process

        yield start


async def leave(process: Process) -> None:
    if process.returncode is None:
        await process.communicate(b"")


async def says(process: Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


async def server_pid(url: str) -> int:
    async with connect(url) as redis:
        return int((await redis.info("server"))["process_id"])


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def reads(url: str, key: str) -> bytes | str | None:
    try:
        async with connect(url) as redis:
            return await redis.get(key)
    except RedisConnectionError:
        return None


async def test_the_first_process_starts_the_server_and_the_second_attaches(tmp_path: Path, start_user: StartUser) -> None:
    with EmbeddedServer.attach_or_start(tmp_path) as server:
        assert server.owned
        async with connect(server.url) as redis:
            await redis.set("greeting", "hello")

        other = await start_user(tmp_path)

        assert await says(other) == "attached"
        await leave(other)
        assert await reads(server.url, "greeting") == b"hello"


async def test_of_three_processes_that_start_at_once_one_owns_the_server(tmp_path: Path, start_user: StartUser) -> None:
    users = [await start_user(tmp_path) for _ in range(3)]

    assert sorted([await says(user) for user in users]) == ["attached", "attached", "owned"]


async def test_the_owners_exit_stops_the_server_and_keeps_its_data(tmp_path: Path) -> None:
    with EmbeddedServer.attach_or_start(tmp_path) as server:
        pid = await server_pid(server.url)
        async with connect(server.url) as redis:
            await redis.set("greeting", "hello")
    assert not alive(pid)

    with EmbeddedServer.attach_or_start(tmp_path) as server:
        assert await reads(server.url, "greeting") == b"hello"


async def test_a_killed_owner_leaves_no_server_behind(tmp_path: Path, start_user: StartUser) -> None:
    owner = await start_user(tmp_path)
    assert await says(owner) == "owned"
    pid = await server_pid(f"unix://{tmp_path}/.runner/redis.sock")

    owner.kill()

    await eventually(lambda: not alive(pid))


async def test_another_user_takes_the_server_over_when_its_owner_is_killed(tmp_path: Path, start_user: StartUser) -> None:
    owner = await start_user(tmp_path)
    assert await says(owner) == "owned"
    with EmbeddedServer.attach_or_start(tmp_path) as server:
        assert not server.owned
        async with connect(server.url) as redis:
            await redis.set("greeting", "hello")

        owner.kill()

        await eventually(lambda: server.owned)
        assert await eventually(lambda: reads(server.url, "greeting")) == b"hello"


async def test_a_killed_server_is_started_again_with_its_data(tmp_path: Path) -> None:
    with EmbeddedServer.attach_or_start(tmp_path) as server:
        async with connect(server.url) as redis:
            await redis.set("greeting", "hello")

        os.kill(await server_pid(server.url), signal.SIGKILL)

        assert await eventually(lambda: reads(server.url, "greeting")) == b"hello"
        assert server.owned


async def test_the_server_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    servers: list[EmbeddedServer] = []
    started, end = threading.Event(), threading.Event()

    def start_and_end() -> None:
        servers.append(EmbeddedServer.attach_or_start(tmp_path))
        started.set()
        end.wait(10)

    thread = threading.Thread(target=start_and_end)
    thread.start()
    started.wait(10)
    with servers[0] as server:
        pid = await server_pid(server.url)

        end.set()
        thread.join()

        assert [await server_pid(server.url) for _ in range(20)] == [pid] * 20


async def test_an_interrupt_of_the_terminal_does_not_reach_the_server(tmp_path: Path) -> None:
    with EmbeddedServer.attach_or_start(tmp_path) as server:
        assert os.getsid(await server_pid(server.url)) != os.getsid(0)


async def test_the_server_never_evicts_and_keeps_an_append_only_file(tmp_path: Path) -> None:
    with EmbeddedServer.attach_or_start(tmp_path) as server:
        async with connect(server.url) as redis:
            config = await redis.config_get(*OPTIONS)

    assert config == OPTIONS


@pytest.mark.parametrize("name", ["with space", "50% off", "what?#now", "x" * 120], ids=["space", "percent", "query", "long"])
async def test_any_folder_name_works(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    with EmbeddedServer.attach_or_start(folder) as server, EmbeddedServer.attach_or_start(folder) as attached:
        assert attached.url == server.url
        assert await server_pid(server.url)


async def test_a_private_server_leaves_nothing(tmp_path: Path) -> None:
    with EmbeddedServer.private() as server:
        pid = await server_pid(server.url)
        data = Path(server.url.removeprefix("unix://")).parent
        assert data.is_dir()

    assert not alive(pid)
    assert not data.parent.exists()


def test_a_url_names_the_folder_of_its_server(tmp_path: Path) -> None:
    settings = Settings(redis_url=f"embedded://{tmp_path}")
    with pytest.raises(ConfigurationError, match=f"no Redis to use in {tmp_path}"):
        redis_url(settings)

    with EmbeddedServer.attach_or_start(tmp_path) as server:
        assert redis_url(settings) == server.url


def test_a_platform_without_the_program_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "files", lambda _name: [])

    with pytest.raises(ConfigurationError, match=r"no embedded server for .*: set RUNNER_REDIS_URL"):
        EmbeddedServer.attach_or_start(tmp_path)


def test_a_server_that_does_not_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    with EmbeddedServer.attach_or_start(tmp_path):
        pass
    (tmp_path / ".runner" / "appendonlydir" / "appendonly.aof.manifest").write_text("nonsense\n")

    with pytest.raises(ConfigurationError, match=r"(?s)ended with status 1; .*\.log:\n.*AOF manifest"):
        EmbeddedServer.attach_or_start(tmp_path)


def test_a_server_that_fails_to_start_leaves_the_folder_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(importlib.metadata, "files", lambda _name: [])
        with pytest.raises(ConfigurationError):
            EmbeddedServer.attach_or_start(tmp_path)

    with EmbeddedServer.attach_or_start(tmp_path) as server:
        assert server.owned
