"""Fixtures of the whole suite: real servers, a fresh queue for each test, and what must be true after every test."""

import os
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from runner import logs
from runner_pytest import runner_server, test_queue  # noqa: F401 - fixtures, also where the package is not installed
from tests import pace as pacing
from tests.leftovers import immortal_keys, keys_of, stray_tasks
from tests.named import check_names
from tests.recovery import Recovery, append_report, faults_of, measured_by, unmeasured
from tests.selection import arrange
from tests.servers import REDIS, REDIS62, VALKEY, Server, binary
from tests.started_servers import AnyServer, StartedServers
from tests.topologies import TOPOLOGIES, queue_name

MOST_PROCESSES = 8

# Each run tries the same generated examples, so that a change is judged by what it changed; `make test-generated` looks for new ones.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("new", deadline=None)
settings.load_profile("same")

# RUNNER_TEST_SERVER: a comma-separated choice of `valkey`, `redis`, `redis62`, the names in TOPOLOGIES, and URLs of servers
# that already run. All that touches Redis runs once on each.

SINGLE_SERVERS = (VALKEY, REDIS, REDIS62)


def _chosen_servers() -> list[str]:
    chosen = [word.strip() for word in os.environ.get("RUNNER_TEST_SERVER", VALKEY).split(",") if word.strip()]
    for kind in [word for word in chosen if "://" not in word]:
        if kind not in SINGLE_SERVERS and kind not in TOPOLOGIES:
            raise pytest.UsageError(f"RUNNER_TEST_SERVER: {kind!r} is none of {', '.join([*SINGLE_SERVERS, *TOPOLOGIES])} and no URL")
        try:
            binary(kind.partition("-")[0])
        except LookupError as error:
            if os.environ.get("ALLOW_NO_REDIS") != "1":
                raise pytest.UsageError(f"{error}: install it, or set ALLOW_NO_REDIS=1 to run without") from error
            chosen.remove(kind)
    if not chosen:
        raise pytest.UsageError("RUNNER_TEST_SERVER names no server: use valkey, redis or a redis:// URL")
    return chosen


SERVERS = _chosen_servers()
OWN_KINDS = [kind for kind in SERVERS if kind in SINGLE_SERVERS] or [VALKEY]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", type=int, default=0, metavar="MINUTES", help="also play the long random histories, for about so long")
    parser.addoption("--fault-repeats", type=int, default=1, metavar="N", help="inject random faults so many times as often")
    parser.addoption("--fault-report", metavar="FILE", help="append a JSON line for each injected fault: case, test, server, seconds")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    check_names(items)
    arrange(items, {*SERVERS, *OWN_KINDS} - {SERVERS[0], OWN_KINDS[0]}, TOPOLOGIES)
    for item in items:
        faults_of(item)  # a marker that says nothing is an error, whatever is selected


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.when == "call" and not report.skipped and faults_of(item):
        cases = unmeasured(item)
        if report.passed and cases:
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} states a bound for {', '.join(cases)} and measures no recovery: use the fixture `recovery`"
        path = item.config.getoption("--fault-report")
        if path is not None:
            append_report(Path(path), item, passed=report.passed)
    return report


def pytest_report_header() -> str:
    missing = ", WITHOUT redis-server: it is not installed" if REDIS not in SERVERS and os.environ.get("ALLOW_NO_REDIS") == "1" else ""
    return f"servers: {', '.join(SERVERS)}{missing}"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """How many processes `-n auto` starts: the tests wait more than they compute."""
    return min(2 * (os.cpu_count() or 1), MOST_PROCESSES)


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Reports travel between processes as UTF-8, which knows no lone surrogates; some tests log them."""
    return _encodable((yield))


def _encodable(value: Any) -> Any:
    match value:
        case str():
            return value.encode(errors="backslashreplace").decode()
        case dict():
            return {_encodable(key): _encodable(part) for key, part in value.items()}
        case list() | tuple():
            return type(value)(_encodable(part) for part in value)
    return value


@pytest.fixture(scope="session")
def started_servers() -> Iterator[StartedServers]:
    with StartedServers() as servers:
        yield servers


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, started_servers: StartedServers) -> AnyServer:
    """A server, or several that are one place, shared by the whole session: do not kill it, see `private_server`."""
    return started_servers.get(request.param)


@pytest.fixture(params=OWN_KINDS)
def private_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of this test alone, with an append-only file: `kill()`, `start()`, `stop()` it at will.

    What it has answered survives `kill()`. With `everysec` a server answers before it has written while its disk is busy syncing.
    """
    with Server(request.param, appendonly=True, options={"appendfsync": "always"}) as started:
        yield started


@pytest.fixture
def redis_url(server: AnyServer) -> str:
    """What a user gives as RUNNER_REDIS_URL."""
    return server.url


@pytest.fixture
def direct_url(server: AnyServer) -> str:
    """Where the one server listens that serves the queues of tests, for plain clients and proxies."""
    return server.direct_url


@pytest.fixture
async def redis(direct_url: str) -> AsyncIterator[Redis]:
    """A plain client that never sends a command twice."""
    async with connect(direct_url) as client:
        yield client


@pytest.fixture
async def queue(redis: Redis) -> AsyncIterator[str]:
    """The name of a fresh queue; afterwards its keys are checked for missing TTLs and deleted."""
    name = queue_name()
    yield name
    immortal = await immortal_keys(redis, name)
    if keys := await keys_of(redis, name):
        await redis.delete(*keys)
    assert not immortal, f"keys without a TTL: {immortal}"


@pytest.fixture
def recovery(request: pytest.FixtureRequest) -> Iterator[Recovery]:
    """Measures how long the test's fault takes to heal, and fails beyond the bound that its marker states."""
    yield from measured_by(request.node)


@pytest.fixture
async def pace() -> AsyncIterator[pacing.Pace]:
    """For what must happen soon: seconds that do not pass while the machine is busy with other things."""
    async for kept in pacing.kept():
        yield kept


@pytest.fixture
def fault_repeats(request: pytest.FixtureRequest) -> int:
    """How many times as often a random fault is to be injected; more than 1 in the long form."""
    repeats: int = request.config.getoption("--fault-repeats")
    return repeats


@pytest.fixture(autouse=True)
def lost_lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[BaseException]]:
    """What logging has raised, which the program swallows: a line that cannot be formatted is a fault, unless a test wants it."""
    lost, note = list[BaseException](), logs._note

    def noted(error: BaseException) -> None:
        lost.append(error)
        note(error)

    monkeypatch.setattr(logs, "_note", noted)
    yield lost
    assert not lost


@pytest.fixture(autouse=True)
def clean_loop(request: pytest.FixtureRequest) -> None:
    """After an async test and its other fixtures no task may be left on the loop."""
    if request.node.get_closest_marker("asyncio") is not None:
        request.getfixturevalue("no_stray_tasks")


@pytest.fixture
async def no_stray_tasks() -> AsyncIterator[None]:
    yield
    stray = await stray_tasks()
    assert not stray, f"asyncio tasks left: {stray}"


def connect(url: str) -> Redis:
    """A client as the fixture `redis` gives, for a server of your own; use it in an `async with`."""
    return Redis.from_url(url, protocol=2, decode_responses=False, retry=Retry(NoBackoff(), 0))
