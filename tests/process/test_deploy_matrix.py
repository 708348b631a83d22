"""Producers and workers of two versions of an app, each a process of its own, started in every order: nothing is lost on the way."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from runner import Client
from runner.settings import load_settings
from runner.store.keys import Keys
from tests import invariants
from tests.eventually import PATIENCE_S, eventually
from tests.process.shop import GATE
from tests.process.test_mixed_versions import ROOT

pytestmark = pytest.mark.slow

FRAUD = "fraud"
OLD, NEW = "shop_old", "shop_new"
REVISIONS = {OLD: 1, NEW: 2}
SHORT = {"LEASE_S": 4, "RENEW_S": 0.5, "RECLAIM_S": 0.3, "BLOCK_S": 0.5, "CONCURRENCY": 5, "COMMAND_TIMEOUT_S": 10}
PAIRS = [(OLD, NEW), (NEW, OLD)]


class Shop:
    """The processes of one scene, and what was submitted: by the id of each job its result, and whether it must have the new limit."""

    def __init__(self, url: str, queue: str, folder: Path, *, has_revisions: bool) -> None:
        self._environment = {**os.environ, "PYTHONPATH": str(ROOT), "SHOP_QUEUE": queue, "SHOP_LOG": str(folder / "runs")}
        self._environment |= {f"RUNNER_{name}": str(value) for name, value in SHORT.items()} | {"RUNNER_REDIS_URL": url}
        self._has_revisions = has_revisions
        self._folder = folder
        self._numbers = count()
        self.workers: dict[str, Process] = {}
        self.producers: dict[str, Process] = {}
        self.results: dict[str, str] = {}
        self.limited: set[str] = set()

    @property
    def runs(self) -> list[tuple[str, str]]:
        """Every run of an order: which, and by which version."""
        log = Path(self._environment["SHOP_LOG"])
        return [(order, version) for order, version in map(str.split, log.read_text().splitlines())] if log.exists() else []

    async def start_worker(self, version: str) -> None:
        options = ["worker", "--app", f"tests.process.{version}:app", "--record-starts", "--json"]
        process = self.workers[version] = await self._spawn("runner", *options, version=version)
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            while b'"working"' not in (line := await process.stdout.readline()):
                assert line, self.log_of(version)

    async def start_producer(self, version: str) -> None:
        self.producers[version] = await self._spawn("tests.process.shop", version, version=version)

    def log_of(self, version: str) -> str:
        return (self._folder / f"{version}.log").read_text()

    async def _spawn(self, *words: str, version: str) -> Process:
        environment = self._environment | ({"RUNNER_REVISION": str(REVISIONS[version])} if self._has_revisions else {})
        with (self._folder / f"{version}.log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", *words), stdin=PIPE, stdout=PIPE, stderr=log, env=environment, cwd=self._folder
            )

    async def submit_some(self) -> None:
        """Each producer submits what its version knows; what only new workers can read, if one works."""
        for version in self.producers:
            for way in ("code", "name"):
                for _ in range(3):
                    await self._submit(version, way, "ping")
                    await self._submit(version, way, "charge", has_limit=(version, way) == (NEW, "code"))
            if version == NEW:
                await self._submit(version, "code", "refund", has_limit=True)
            if NEW in self.workers:
                await self._submit(version, "name", "refund", has_limit=True)
                await self._submit(version, "name", "charge", remark="gift", has_limit=True)
            if NEW in self.workers and version == NEW:
                await self._submit(version, "code", "charge", remark="gift", has_limit=True)

    async def _submit(self, version: str, way: str, task: str, *, remark: str = "", has_limit: bool = False) -> None:
        process, name = self.producers[version], f"{task}-{way}-{version}-{next(self._numbers)}"
        assert process.stdin is not None
        assert process.stdout is not None
        args: dict[str, Any] = {"order": name, **({"remark": remark} if remark else {})}
        process.stdin.write(json.dumps([way, task, args, name]).encode() + b"\n")
        async with asyncio.timeout(PATIENCE_S):
            answer = (await process.stdout.readline()).decode().strip()
        assert answer == name, (answer, self.log_of(version))
        self.results[name] = f"refund of {name}" if task == "refund" else f"{name} {remark}".strip()
        if has_limit:
            self.limited.add(name)

    async def close(self) -> None:
        for process in (*self.producers.values(), *self.workers.values()):
            if process.returncode is None:
                process.kill()
            await process.wait()


@pytest.mark.parametrize(
    ("workers", "has_revisions"),
    [(PAIRS[0], True), (PAIRS[0], False), (PAIRS[1], True)],
    ids=["old worker first", "old worker first, no build numbers", "new worker first"],
)
@pytest.mark.parametrize("workers_come_first", [False, True], ids=["producer first", "worker first"])
@pytest.mark.parametrize("producers", PAIRS, ids=["old producer first", "new producer first"])
async def test_two_versions_started_in_any_order_lose_nothing(
    redis: Redis,
    redis_url: str,
    queue: str,
    tmp_path: Path,
    producers: tuple[str, str],
    workers: tuple[str, str],
    workers_come_first: bool,
    has_revisions: bool,
) -> None:
    """Without build numbers the worker that started last is published: then an old one may refuse a new argument by name, see docs/howto/deploys.md."""
    shop = Shop(redis_url, queue, tmp_path, has_revisions=has_revisions)
    async with Client(queue, settings=load_settings(redis_url=redis_url)) as client:
        try:
            for producer, worker in zip(producers, workers, strict=True):
                starts = [(shop.start_producer, producer), (shop.start_worker, worker)]
                for start, version in reversed(starts) if workers_come_first else starts:
                    if (start, version) == (shop.start_worker, NEW):
                        await check_that_refunds_wait(client, shop)
                    await start(version)
                    await shop.submit_some()
            await check_all(client, redis, queue, shop)
            for process in shop.workers.values():
                process.send_signal(signal.SIGTERM)
                assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0
        finally:
            await shop.close()
            await redis.delete(Keys(queue).starts)


async def check_that_refunds_wait(client: Client, shop: Shop) -> None:
    """No worker knows the new task yet: its jobs say so, whether an old worker has met them or none has come."""
    refunds = [name for name in shop.results if name.startswith("refund")]

    async def all_wait() -> bool:
        found = [status for status in await client.statuses(refunds) if status is not None]
        assert {status.error for status in found} <= {None}
        met = {OLD: "waiting"}.get(next(iter(shop.workers), ""), "queued")
        return [(status.state, status.reason) for status in found] == [(met, "no worker")] * len(refunds)

    if refunds:
        await eventually(all_wait)


async def check_all(client: Client, redis: Redis, queue: str, shop: Shop) -> None:
    results = {name: await client.job(name).result(timeout=PATIENCE_S) for name in shop.results}
    assert results == shop.results, "no argument is lost"
    assert await redis.zcard(f"{Keys(queue).prefix}failed") == 0, "there is no dead letter"
    statuses = [status for status in await client.statuses(list(results)) if status is not None]
    assert [status.id for status in statuses if status.failures or status.crashes] == []
    runs = shop.runs
    assert Counter(order for order, _ in runs) == dict.fromkeys(results, 1)
    # No limit is lost: what the new version submits by code needs it, and so does whatever the new version runs.
    by_new = {order for order, version in runs if version == "new" and not order.startswith("ping")}
    for name in by_new | shop.limited:
        limits = await redis.hget(Keys(queue).job(name), "limits") or b""
        assert b"fraud=1" in limits, (name, limits)
    fraud = next(limit.code for limit in await client.limits() if limit.code.name == FRAUD)
    live = [worker.id for worker in await client.workers()]
    assert await invariants.violations(redis, queue, results, limits=[GATE, fraud], live=live) == []
