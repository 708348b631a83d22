"""Claims that Redis refuses as a whole, again and again: the entry at fault is a dead letter, and the worker and all other jobs go on."""

import asyncio
import json
import logging
from collections import Counter
from typing import Any

import pytest
from redis.asyncio import Redis

from runner import Concurrency, Level, Runner, TokenBucket
from runner.store import scripts
from runner.store.keys import Keys
from tests import invariants
from tests.eventually import eventually
from tests.worker.conftest import Crew, MakeApp

PACED = TokenBucket("paced", rate="200/s", burst=5)
SLOTS = Concurrency("slots", 3)
START_ENTRY = "local function start_entry(number, entry, id)\n"
RELEASE = "  function release.due(budget)\n"


def broken(monkeypatch: pytest.MonkeyPatch, place: str, condition: str) -> None:
    """A claim in which an error comes up at a place that no net of the script holds, whenever the condition is true."""
    claim = scripts.load("claim")
    assert claim.source.count(place) == 1
    source = claim.source.replace(place, f"{place}if {condition} then error('nobody expected this') end\n")
    wrong, load = scripts.Script("claim", source, claim.arguments), scripts.load
    monkeypatch.setattr(scripts, "load", lambda name: wrong if name == "claim" else load(name))


async def settled(redis: Redis, queue: str, ids: list[str], crew: Crew) -> bool:
    return not await invariants.violations(redis, queue, ids, limits=[PACED, SLOTS], live=crew.ids)


@pytest.mark.fault("X05")
async def test_an_entry_that_no_claim_can_start_is_a_dead_letter_and_all_others_run(
    make_app: MakeApp, redis: Redis, queue: str, crew: Crew, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.WARNING, "runner")
    runs: Counter[int] = Counter()
    apps = [make_app(concurrency=8), make_app(concurrency=8)]
    for app in apps:

        @app.task(name="plain")
        async def plain(number: int) -> None:
            runs[number] += 1

        @app.task(name="limited", limits=[PACED, SLOTS])
        async def limited(number: int) -> None:
            runs[number] += 1

        @app.task(name="bad", limits=[SLOTS])
        async def bad(number: int) -> None:
            raise AssertionError("it may not run")

    broken(monkeypatch, START_ENTRY, "id and redis.call('HGET', prefix .. 'job:' .. id, 'task') == 'bad'")
    tasks = apps[0].tasks
    good, wrong = [], []
    for number in range(20):
        good += [await tasks["plain"].submit(number), await tasks["limited"].submit(100 + number)]
        if number % 6 == 3:
            wrong.append(await tasks["bad"].submit(number))
    workers = [await crew.start(app) for app in apps]
    names = [worker.id for worker in workers]

    ends = await asyncio.gather(*(job.wait(timeout=20) for job in (*good, *wrong)))

    assert [end.state for end in ends] == ["succeeded"] * 40 + ["failed"] * 3
    for end in ends[40:]:
        assert end.error is not None
        assert (end.error.type, "nobody expected this" in end.error.message) == ("ClaimRefused", True)
        assert end.attempt == 0
    assert runs == Counter([*range(20), *range(100, 120)])
    assert [worker.id for worker in workers] == names
    await eventually(lambda: settled(redis, queue, [job.id for job in (*good, *wrong)], crew))
    critical = [record for record in caplog.records if record.levelno == logging.CRITICAL]
    assert 1 <= len(critical) <= 2, "each worker says it once"
    assert sum("becomes a dead letter" in record.getMessage() for record in caplog.records) == 3

    async def are_told() -> bool:
        return any(worker.defects for worker in await apps[0].client.workers())

    await eventually(are_told)
    (finding,) = [finding for finding in await apps[0].client.examine() if finding.check == "workers"]
    assert finding.level is Level.warning
    assert "CRITICAL" in finding.text


async def test_a_refusal_that_no_entry_is_at_fault_for_ends_no_job_and_no_worker(
    app: Runner, redis: Redis, queue: str, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wakes cannot be looked at: what is on the streams runs all the same, and the leader serves the lines by another script."""

    @app.task
    async def plain(number: int) -> int:
        return number

    @app.task(limits=[PACED])
    async def limited(number: int) -> int:
        return number

    broken(monkeypatch, RELEASE, "true")
    worker = await crew.start(app)
    name = worker.id
    jobs = [await task.submit(number) for number in range(15) for task in (plain, limited)]

    ends = await asyncio.gather(*(job.wait(timeout=20) for job in jobs))
    assert [end.state for end in ends] == ["succeeded"] * 30
    assert worker.id == name
    assert await invariants.violations(redis, queue, [job.id for job in jobs], limits=[PACED], live=crew.ids) == []


@pytest.mark.fault("X05")
@pytest.mark.parametrize("limits", ["", "slots=1!"])
async def test_an_id_that_is_no_text_costs_its_own_job(
    app: Runner, redis: Redis, queue: str, crew: Crew, limits: str, caplog: pytest.LogCaptureFixture
) -> None:
    @app.task(limits=[SLOTS])
    async def work(number: int) -> int:
        return number

    worker = await crew.start(app)
    name, keys = worker.id, Keys(queue)
    for odd in (b"\xff\xfe", b"j\xc3(", b"\xed\xa0\x80"):
        record: dict[Any, Any] = {"state": "queued", "task": "work", "args": '{"number": 1}', "priority": "1"}
        if limits:
            record |= {"limits": limits, "line": "1|slots", "rank": "1024"}
        await redis.hset(keys.prefix.encode() + b"job:" + odd, mapping=record)
        await redis.xadd(f"{keys.prefix}stream:normal", {"id": odd})
    jobs = [await work.submit(number) for number in range(20)]

    ends = await asyncio.gather(*(job.wait(timeout=20) for job in jobs))
    assert [end.state for end in ends] == ["succeeded"] * 20
    for odd in (b"\xff\xfe", b"j\xc3(", b"\xed\xa0\x80"):
        key = keys.prefix.encode() + b"job:" + odd
        await eventually(lambda: has_failed(redis, key))  # noqa: B023 - awaited at once
        assert json.loads(await redis.hget(key, "error") or "")["type"] == "ClaimRefused"
    assert "job \\xff\\xfe cannot be started" in caplog.text
    assert worker.id == name
    await eventually(lambda: settled(redis, queue, [job.id for job in jobs], crew))
    assert await redis.zcard(f"{keys.prefix}holders:slots") == 0


async def has_failed(redis: Redis, key: bytes) -> bool:
    return bool(await redis.hget(key, "state") == b"failed")
