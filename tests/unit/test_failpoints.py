"""Failpoints: what a spec may say, what happens at a point, and that nothing is there when none is named."""

import ast
import asyncio
import logging
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from runner.connection.error_translation import is_transient
from runner.errors import ConfigurationError
from runner.store import failpoints, scripts

REDIS_RING = [
    Path(failpoints.__file__).with_name(name)
    for name in ("calendars.py", "claims.py", "duties.py", "jobs.py", "lease.py", "limits.py", "queue.py", "submissions.py")
]


class Client:
    """Answers every command with its first word."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def execute_command(self, *words: str) -> str:
        self.sent.append(words[0])
        return words[0]

    async def execute_pair(self, first: Sequence[str], second: Sequence[str]) -> list[str]:
        return [await Client.execute_command(self, *first), await Client.execute_command(self, *second)]


class ThreadClient:
    """The same, blocking."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def execute_command(self, *words: str) -> str:
        self.sent.append(words[0])
        return words[0]


class Exited(BaseException):
    """Stands in for the end of the process."""


@pytest.fixture(autouse=True)
def exits(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """What os._exit was called with; nobody else's failpoints count."""
    statuses: list[int] = []

    def leave(status: int) -> None:
        statuses.append(status)
        raise Exited

    monkeypatch.setattr(os, "_exit", leave)
    failpoints.failpoints.cache_clear()
    yield statuses
    failpoints.failpoints.cache_clear()


async def test_without_failpoints_nothing_is_wrapped() -> None:
    client, thread_client = Client(), ThreadClient()
    before = client.execute_command, client.execute_pair, thread_client.execute_command

    async def execute() -> None: ...

    failpoints.arm(None, client)
    failpoints.arm_in_thread("", thread_client)

    assert (client.execute_command, client.execute_pair, thread_client.execute_command) == before
    assert failpoints.around_attempt(None, execute) is execute


@pytest.mark.parametrize("name", scripts.script_names())
async def test_every_script_is_a_point_before_and_after(name: str) -> None:
    script = scripts.load(name)
    for when in ("before", "after"):
        client = Client()
        failpoints.arm(f"{name}:{when}=raise", client)
        for words in (("EVALSHA", script.sha), ("EVAL", script.source)):
            with pytest.raises(RuntimeError, match=f"failpoint {name}:{when}"):
                await client.execute_command(*words, "1", "prefix")
        assert client.sent == ([] if when == "before" else ["EVALSHA", "EVAL"])


async def test_other_commands_are_points_by_their_name() -> None:
    client = Client()
    failpoints.arm("xreadgroup:after=lose", client)
    assert await client.execute_command("BLPOP", "key") == "BLPOP"

    with pytest.raises(RedisConnectionError) as lost:
        await client.execute_command("XREADGROUP", "GROUP")

    assert is_transient(lost.value)


@pytest.mark.parametrize("point", ["xreadgroup", "claim"])
async def test_of_two_commands_sent_at_once_each_is_a_point(point: str) -> None:
    for when in ("before", "after"):
        client = Client()
        failpoints.arm(f"{point}:{when}=lose", client)
        with pytest.raises(RedisConnectionError):
            await client.execute_pair(["XREADGROUP", "GROUP"], ["EVALSHA", scripts.load("claim").sha])
        assert client.sent == ["XREADGROUP", "EVALSHA"][: ["xreadgroup", "claim"].index(point) + (when == "after")]


def test_every_command_the_ring_sends_is_a_point() -> None:
    sent = {
        str(node.args[1].value).lower()
        for path in REDIS_RING
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"command", "command_in_thread"}
        and len(node.args) > 1
        and isinstance(node.args[1], ast.Constant)
    }

    assert sent | {"xreadgroup"} == failpoints.COMMANDS


async def test_an_exit_ends_the_process_only_the_time_it_was_asked_for(exits: list[int]) -> None:
    client = Client()
    failpoints.arm("get:before=exit@2", client)
    await client.execute_command("GET")
    with pytest.raises(Exited):
        await client.execute_command("GET")
    await client.execute_command("GET")

    assert exits == [70]
    assert client.sent == ["GET", "GET"]


async def test_a_pause_delays_the_call_or_its_answer() -> None:
    client = Client()
    failpoints.arm("get:before=pause:30;get:after=pause:30@7", client)
    asked = asyncio.ensure_future(client.execute_command("GET"))
    done, _ = await asyncio.wait([asked], timeout=0.02)

    assert not done
    assert client.sent == []
    asked.cancel()


def test_a_thread_has_the_same_points(exits: list[int]) -> None:
    client = ThreadClient()
    failpoints.arm_in_thread("heartbeat:after=exit;blpop:before=raise;get:before=pause:0.01", client)

    assert client.execute_command("GET") == "GET"
    with pytest.raises(Exited):
        client.execute_command("EVALSHA", scripts.load("heartbeat").sha)
    with pytest.raises(RuntimeError):
        client.execute_command("BLPOP", "key")
    assert client.sent == ["GET", "EVALSHA"]


async def test_an_attempt_is_a_point() -> None:
    ran = []

    async def execute(job: str) -> None:
        ran.append(job)

    with pytest.raises(RuntimeError):
        await failpoints.around_attempt("attempt:before=raise", execute)("a")
    with pytest.raises(RuntimeError):
        await failpoints.around_attempt("attempt:after=raise", execute)("b")
    assert ran == ["b"]


async def test_points_are_counted_once_for_the_whole_process() -> None:
    first, second = Client(), Client()
    for client in (first, second):
        failpoints.arm("get:before=raise@2", client)
    await first.execute_command("GET")

    with pytest.raises(RuntimeError):
        await second.execute_command("GET")


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "claim",
        "claim=exit",
        "claim:during=exit",
        "claim:after=explode",
        "claim:after=pause",
        "claim:after=exit@0",
        "claim:after=exit;",
        "a;b",
    ],
)
def test_a_malformed_failpoint_is_refused_with_its_form(spec: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"failpoint '.*' is not understood: write POINT:before or POINT:after, .* like claim:after=exit@3"
    ):
        failpoints.failpoints(spec)


def test_an_unknown_point_is_refused_and_the_known_ones_named() -> None:
    with pytest.raises(
        ConfigurationError, match=r"'chaim:after=exit' names no point \(known: adapt, advance, attempt, audit, batches, blpop, "
    ):
        failpoints.failpoints("claim:before=exit;chaim:after=exit")


def test_failpoints_that_are_on_are_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "runner"):
        failpoints.failpoints("claim:after=exit")

    assert [record.getMessage() for record in caplog.records] == ["failpoints are on, this process will fail on purpose: claim:after=exit"]


def test_the_example_of_the_guide_can_be_used() -> None:
    guide = (Path(failpoints.__file__).parents[2] / "CONTRIBUTING.md").read_text()
    (spec,) = re.findall(r"RUNNER_FAILPOINTS='([^']+)'", guide)

    assert isinstance(failpoints.failpoints(spec), failpoints.Failpoints)
