"""What is checked before the first job: each thing that is wrong is named in a line with its remedy, and nothing is left behind."""

import asyncio
import os
import re
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from runner import Client, ConfigurationError, Runner, Worker
from runner.errors import AccessRefused, NotPermitted
from runner.settings import Settings
from runner.store.doctor import examine, refuse_unfit_server
from runner.store.finding import Level
from runner.store.job_store import JobStore
from runner.store.keys import Keys
from runner.store.permissions import REHEARSAL
from tests.conftest import OWN_KINDS
from tests.eventually import PATIENCE_S
from tests.pages import page
from tests.servers import Server
from tests.topologies import Cluster, SentinelSet, slot_of

OPERATIONS = page("operations.md").read_text()
QUEUE = "shop"


@pytest.fixture(scope="module", params=OWN_KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with Server(request.param, tcp=True, appendonly=True) as started:
        yield started


@pytest.fixture(autouse=True)
def restored(server: Server) -> Iterator[None]:
    yield
    for words in (("CONFIG", "SET", "maxmemory-policy", "noeviction"), ("CONFIG", "SET", "appendonly", "yes"), ("REPLICAOF", "NO", "ONE")):
        server.ask(*words)
    server.ask("ACL", "DELUSER", "runner")


@asynccontextmanager
async def opened(url: str, queue: str = QUEUE) -> AsyncIterator[JobStore]:
    store = JobStore(url, queue, Settings())
    try:
        yield store
    finally:
        await store.close()


async def findings(url: str, queue: str = QUEUE) -> dict[str, tuple[Level, str]]:
    async with opened(url, queue) as store:
        return {finding.check: (finding.level, finding.text) for finding in await examine(store)}


def access_list() -> list[str]:
    """The command of docs/howto/operations.md, as words, without the name and the password."""
    (block,) = [block for block in re.findall(r"```\n(.*?)```", OPERATIONS, re.DOTALL) if "ACL SETUSER" in block]
    return [word for word in block.split()[3:] if not word.startswith(">")]


def with_user(server: Server, *more: str) -> str:
    """The URL for the user of the documents, with these rules besides."""
    server.ask("ACL", "SETUSER", "runner", "reset", *access_list(), ">secret", *more)
    return server.url.replace("://", "://runner:secret@")


async def test_a_good_server_is_found_well_and_left_as_it_was(server: Server) -> None:
    found = await findings(server.url)

    assert {level for level, _ in found.values()} == {Level.ok}
    assert list(found) == ["version", "role", "memory", "durability", "clock", "access", "keys", "format"]
    assert server.ask("DBSIZE") == 0


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
async def test_a_policy_that_evicts_keeps_a_worker_from_starting(server: Server, policy: str) -> None:
    server.ask("CONFIG", "SET", "maxmemory-policy", policy)

    with pytest.raises(ConfigurationError, match=f"^Redis cannot be used as it is: maxmemory-policy is {policy}: set it to noeviction"):
        await Worker(Runner(QUEUE, redis_url=server.url)).run()


async def test_no_append_only_file_is_worth_a_warning(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.ask("CONFIG", "SET", "appendonly", "no")

    async with opened(server.url) as store:
        await refuse_unfit_server(store)

    assert "set appendonly yes" in caplog.text


async def test_a_replica_is_refused_with_the_address_of_its_primary(server: Server) -> None:
    server.ask("REPLICAOF", "127.0.0.1", "1")

    level, text = (await findings(server.url))["role"]

    assert level is Level.error
    assert "connect to its primary 127.0.0.1:1" in text


async def test_a_wrong_password_is_refused_and_not_waited_for(server: Server) -> None:
    with_user(server)

    with pytest.raises(ConfigurationError, match="the user or password of the URL is refused"):
        await Worker(Runner(QUEUE, redis_url=server.url.replace("://", "://runner:wrong@"))).run()


async def test_who_is_refused_is_told_so_and_not_that_redis_is_away(server: Server) -> None:
    wrong, less = with_user(server, "-evalsha").replace(":secret@", ":wrong@"), with_user(server, "-evalsha")
    for url, error, said in (
        (wrong, AccessRefused, "Redis refuses the user or password of its URL .*: correct the URL"),
        (less, NotPermitted, "the user of Redis's URL may not do what is needed .*'evalsha'.*: .* doctor lists all that is missing"),
    ):
        async with Client(QUEUE, redis_url=url) as client:
            for asking in (client.status("any"), client.submit("any", {})):
                with pytest.raises(error, match=f"^{said}$"):
                    await asking
        answer = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "runner", "status", "any", "--queue", QUEUE),
            env=os.environ | {"RUNNER_REDIS_URL": url},
            stdout=PIPE,
            stderr=PIPE,
        )
        out, err = await answer.communicate()
        assert (answer.returncode, out) == (2, b"")
        assert re.fullmatch(f"runner: {said}\n", err.decode())


async def test_the_access_list_of_the_documents_is_enough(server: Server) -> None:
    found = await findings(with_user(server))

    assert {level for level, _ in found.values()} == {Level.ok}
    assert server.ask("DBSIZE") == 0


@pytest.mark.parametrize("name", [*REHEARSAL, "SUBSCRIBE"])
async def test_a_command_that_is_missing_is_named(server: Server, name: str) -> None:
    rule = name.lower().replace(" ", "|")
    url = with_user(server, f"-{rule}" if "|" not in rule or server.kind != "redis62" else f"-{rule.partition('|')[0]}")

    level, text = (await findings(url))["access"]

    assert level is Level.error
    assert re.search(rf"may not call [^:]*\b{name.lower()}\b", text), text
    assert server.ask("DBSIZE") == 0


async def test_keys_that_are_forbidden_are_named_with_every_command(server: Server) -> None:
    url = with_user(server, "resetkeys", "~runner:{other}:*")

    _, text = (await findings(url))["access"]

    assert f"on keys and channels {Keys(QUEUE).prefix}*" in text
    assert "hset" in text


async def test_who_may_not_listen_is_told_and_does_not_wait_for_ever(server: Server) -> None:
    async with Client(QUEUE, redis_url=with_user(server, "-subscribe")) as client, asyncio.timeout(PATIENCE_S):
        for _ in range(2):
            with pytest.raises(NotPermitted, match="subscribe"):
                await client.wait("any")


async def test_what_may_not_be_asked_is_said_and_no_error(server: Server) -> None:
    found = await findings(with_user(server, "-info"))

    assert {check for check, (level, _) in found.items() if level is Level.unknown} == {"version", "role", "memory", "durability"}
    assert found["access"][0] is Level.ok
    assert "could not check" in found["memory"][1]


async def test_each_topology_is_checked_at_the_server_that_serves(server: Server) -> None:
    with SentinelSet(server.kind) as sentinels:
        assert (await findings(sentinels.url))["role"] == (Level.ok, "primary, sentinel, replicas: 1")
    with Cluster(server.kind) as cluster:
        owner = cluster.owner_of(slot_of(QUEUE))
        other = next(node for node in cluster.nodes[:3] if node is not owner)

        assert (await findings(cluster.url))["role"] == (Level.ok, "primary, cluster, replicas: 1")
        assert (await findings(owner.url))["role"][0] is Level.warning
        level, text = (await findings(other.url))["access"]
        assert level is Level.error
        assert f"queue shop is at node {owner.node} of a cluster" in text
        assert "write redis+cluster://" in text
