"""The embedded server through starts in parallel, exits and kills of its users and of itself."""

import asyncio
import importlib.metadata
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from runner.connection import redis_url
from runner.connection.embedded import OPTIONS, EmbeddedServer
from runner.connection.server_process import answer
from runner.errors import ConfigurationError, MissingExtra
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


def test_without_its_extra_it_names_the_pip_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", absent)
    monkeypatch.chdir(tmp_path)

    for use in (lambda: EmbeddedServer.attach_or_start(tmp_path), lambda: redis_url(Settings())):
        with pytest.raises(MissingExtra, match=r"pip install 'metered-runner\[embedded\]', or set RUNNER_REDIS_URL to"):
            use()


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


def test_a_forked_child_does_not_own_the_server_and_does_not_keep_it_from_ending(tmp_path: Path) -> None:
    (begun, begin), (released, release) = os.pipe(), os.pipe()
    with EmbeddedServer.attach_or_start(tmp_path) as server:
        pid = asyncio.run(server_pid(server.url))

        def go_on_after_the_parent() -> None:
            with server:
                assert not server.owned
            os.close(release)
            os.write(begin, b".")
            os.read(released, 1)

        child = os.fork()
        if child == 0:
            try:
                go_on_after_the_parent()
            finally:
                os._exit(0)
        os.read(begun, 1)
        assert alive(pid), "the child stopped the server of its parent"
    try:
        assert not alive(pid)
        with EmbeddedServer.attach_or_start(tmp_path) as again:
            assert again.owned, "the child still holds the lock"
    finally:
        for end in (begun, begin, released, release):
            os.close(end)
        assert os.waitpid(child, 0)[1] == 0


async def test_what_the_server_keeps_is_for_its_user_alone(tmp_path: Path) -> None:
    data = tmp_path / ".runner"
    data.mkdir(mode=0o755)
    before = os.umask(0o022)
    try:
        with EmbeddedServer.attach_or_start(tmp_path) as server:
            async with connect(server.url) as redis:
                await redis.set("secret", "1")
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (data, *data.rglob("*"))}
    finally:
        os.umask(before)
    assert len(modes) >= 7
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}


@pytest.mark.parametrize("name", ["", "lock", ".gitignore", "valkey.log", "appendonlydir"])
def test_a_link_in_the_place_of_anything_it_opens_is_refused_and_its_target_untouched(tmp_path: Path, name: str) -> None:
    target, folder = tmp_path / "target", tmp_path / "folder"
    folder.mkdir()
    if name in ("", "appendonlydir"):
        target.mkdir()
    else:
        target.write_text("mine")
        (folder / ".runner").mkdir()
    if name == "appendonlydir":
        (folder / ".runner").mkdir()
    (folder / ".runner" / name if name else folder / ".runner").symlink_to(target)

    with pytest.raises(ConfigurationError, match=r"is a link.*RUNNER_REDIS_URL"):
        EmbeddedServer.attach_or_start(folder)

    assert target.read_text() == "mine" if target.is_file() else list(target.iterdir()) == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make files of another user")
def test_the_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    data = tmp_path / ".runner"
    data.mkdir()
    os.chown(data, 12345, 12345)
    (data / "redis.sock").touch()

    with pytest.raises(ConfigurationError, match="belongs to user 12345"):
        EmbeddedServer.attach_or_start(tmp_path)
    with pytest.raises(ConfigurationError, match="belongs to user 12345"):
        redis_url(Settings(redis_url=f"embedded://{tmp_path}"))


@pytest.mark.skipif(
    os.getuid() != 0 or sys.platform != "linux", reason="only root can become another user, and only Linux says who listens"
)
def test_the_server_of_another_user_is_not_asked() -> None:
    folder = Path(tempfile.mkdtemp(prefix="runner-test-"))
    folder.chmod(0o777)
    path = str(folder / "redis.sock")
    script = (
        "import os, socket, sys; os.setgid(12345); os.setuid(12345); s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen();"
        " print('ready', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-S", "-c", script, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as stranger:
        assert stranger.stdin is not None
        assert stranger.stdout is not None
        try:
            assert stranger.stdout.readline() == b"ready\n"
            with pytest.raises(ConfigurationError, match="belongs to user 12345"):
                answer(path)
        finally:
            stranger.stdin.close()
            shutil.rmtree(folder)
