"""Commands with --url: the service of a queue is asked in place of Redis, by a key, and what they print and how they exit is the same."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from runner import Runner
from tests.http.conftest import Service, serving
from tests.process.test_cli import CHARGE, Cli, jobs, session

__all__ = ["jobs"]


class Remote(NamedTuple):
    """A shell that reaches the service alone, and the one secret that it has."""

    run: Cli
    service: Service
    secret: str


@pytest.fixture
async def remote(jobs: Runner, tmp_path: Path) -> AsyncIterator[Remote]:
    secret = (await jobs.client.keys.create("laptop", preset="admin")).secret
    async with serving(jobs.settings, jobs.queue) as service, session(tmp_path, RUNNER_API_KEY=secret) as cli:
        yield Remote(cli, service, secret)


async def test_every_command_that_needs_no_redis_asks_the_service(remote: Remote) -> None:
    async def done(*words: str, code: int = 0) -> str:
        said = await remote.run(*words, "--url", remote.service.url)
        assert (said.code, said.err) == (code, ""), said
        assert remote.secret not in said.out
        return said.out

    ended = json.loads(await done("submit", "charge", CHARGE, "--id", "o-17", "--wait", "20", "--json"))
    assert (ended["id"], ended["state"], ended["result"]) == ("o-17", "succeeded", "charged o-17")
    assert await done("status", "o-17") == await done("status", "o-17")
    await done("submit", "charge", CHARGE, "--wait", "20")
    await done("submit", "charge", CHARGE, "--id", "later")
    told = (await done("explain", "later")).splitlines()
    assert any("tokens of pay (1/h)" in line for line in told), told
    assert told[-1].endswith(f"python -m runner limits show pay --url {remote.service.url}")
    assert (await done(*told[-1].partition("runner ")[2].split()[:3])).startswith("pay: token bucket")
    assert "repair" in await done("limits", "pause", "pay", "--reason", "repair")
    assert json.loads(await done("limits", "set", "pay", "--rate", "10/h", "--json"))["policy"]["rate"] == "10/h"
    for words in (("restore", "pay"), ("resume", "pay"), ("freeze", "pay", "60"), ("release", "pay"), ("reset", "pay"), ("list",)):
        await done("limits", *words)
    await done("submit", "charge", CHARGE, "--id", "never", "--delay", "60")
    assert "cancelled" in await done("cancel", "never")
    assert "brittle" in await done("tasks", "list")
    assert "failed" in await done("submit", "brittle", "--id", "bad", "--wait", "20", code=1)
    await done("retry", "bad")
    assert json.loads(await done("status", "bad", "--wait", "20", "--json"))["result"] == "mended"
    assert "task brittle is paused" in await done("pause", "task", "brittle", "--reason", "it breaks")
    assert "it breaks" in await done("pauses")
    assert (await done("resume", "task", "brittle")).startswith("task brittle goes on")
    await done("submit", "charge", CHARGE, "--id", "afterwards", "--delay", "600")
    assert await done("jobs", "cancel", "--id-prefix", "afterw", "--yes") == "cancel: 1 done\n"
    assert await done("jobs", "purge", "--id-prefix", "afterw", "--dry-run") == "1 job to purge\n"
    assert await done("delete", "never", "--reason", "not needed") == "deleted job never\n"
    assert "because: not needed" in await done("audit", "--target", "never")
    assert "yes" in await done("workers")
    assert "o-17" in await done("events", "--after", "0", "--most", "1")
    assert "key" in await done("audit", "--since", "1h")
    assert "RAN p95" in await done("history", "--step", "hour")
    assert json.loads(await done("history", "t:brittle", "--json"))["rows"][0]["failed"] == 1
    assert "nothing happened" in await done("history", "t:nobody")
    await done("history", "--names")


async def test_what_is_wrong_is_said_with_the_same_exit_codes(remote: Remote) -> None:
    url = remote.service.url
    for words, code, text in (
        (("status", "nothing", "--url", url), 3, "no job 'nothing'"),
        (("submit", "chrage", "--url", url), 2, "unknown task 'chrage'"),
        (("limits", "show", "stirpe", "--url", url), 3, "stirpe"),
        (("status", "x", "--url", url, "--api-key", remote.secret[:-1] + "x"), 1, "no key that is accepted"),
        (("status", "x", "--url", "localhost:8000"), 2, "is not understood"),
        (("status", "x", "--url", url, "--queue", "shop"), 2, "--url and --queue"),
        (("status", "x", "--queue", "shop", "--redis-url", "redis://127.0.0.1:9", "--api-key", "mr1_x"), 2, "--api-key is for a service"),
        (("keys", "list", "--url", url), 2, "--url"),
    ):
        said = await remote.run(*words)
        assert (said.code, said.out) == (code, ""), said
        assert text in said.err, said
        assert remote.secret[:30] not in said.err


async def test_the_environment_leads_to_the_service_unless_an_option_leads_to_redis(
    jobs: Runner, redis_url: str, tmp_path: Path, remote: Remote
) -> None:
    async with session(tmp_path, RUNNER_API_URL=remote.service.url, RUNNER_API_KEY=remote.secret) as cli:
        assert (await cli("audit")).code == 0
        assert "key laptop" not in (await cli("limits", "pause", "gpu", "--queue", jobs.queue, "--redis-url", redis_url)).out
        assert "laptop" in (await cli("limits", "pause", "pay")).out
