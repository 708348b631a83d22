"""Bytes that are no text, wherever somebody else may have written them: nothing that reads them fails, and all else is told as ever."""

import asyncio

import pytest
from redis.asyncio import Redis

from runner import Client, Level, Settings
from runner.store.job_store import JobStore
from runner.store.lease import LeaseStore
from runner.store.text import decoded
from tests.store.builders import claim, enlist, interval, job, jobs, publish

ODD = b"\xff\xfe"


def test_what_is_no_text_is_shown_byte_by_byte() -> None:
    assert decoded(b"plain:name") == "plain:name"
    assert decoded("é".encode()) == "é"
    assert decoded(b"j\xff") == "j\\xff"
    assert decoded(b"\xed\xa0\x80").encode() == rb"\xed\xa0\x80"


@pytest.mark.parametrize("details", [ODD, b"{", b"[]", b'{"tasks": 3, "pid": "x", "host": null}', b'{"host": "h\xff"}'])
async def test_damaged_details_of_a_worker_hide_no_other(store: JobStore, redis: Redis, details: bytes) -> None:
    await store.enlist("w", '{"host": "h", "tasks": ["a"]}')
    await redis.zadd(store.keys.workers, {b"odd\xff": 9e15})
    await redis.hset(store.keys.prefix.encode() + b"worker:odd\xff", mapping={"details": details, "stuck": "many", "defects": ODD})

    found = {worker.id: worker for worker in await store.workers()}

    assert found["w"].tasks == ("a",)
    assert list(found) == ["w", "odd\\xff"]
    await redis.hset(store.keys.worker("w"), mapping={"details": details, "stuck": "many", "defects": ODD})
    damaged = (await store.workers())[0]
    assert (damaged.id, damaged.pid, damaged.stuck, damaged.defects, damaged.tasks) == ("w", None, 0, 0, ())
    await redis.delete(store.keys.prefix.encode() + b"worker:odd\xff")


async def test_the_catalog_the_limits_and_the_doctor_are_read_on(store: JobStore, redis: Redis, redis_url: str, queue: str) -> None:
    await store.publish({"work": "{}"}, [interval("x")])
    for key in (store.keys.specs, store.keys.limits):
        await redis.hset(key, ODD, ODD)
    await redis.hset(store.keys.job("j"), mapping={"state": "running", "task": ODD})
    await redis.zadd(store.keys.throttled, {ODD: 500, b"j": 300})
    await redis.expire(store.keys.throttled, 60)

    assert [task.name for task in await store.tasks()] == ["work"]
    assert "x" in [limit.code.name for limit in await store.limits()]
    assert (await store.known("", ["work"])).tasks is not None
    while (await store.sweep()).more:
        pass
    async with Client(queue, settings=Settings.model_validate({"redis_url": redis_url})) as client:
        findings = {finding.check: finding for finding in await client.examine()}
    assert findings["throttled"].level is Level.warning
    assert "job j (\\xff\\xfe) 300 times" in findings["throttled"].text
    await redis.delete(store.keys.job("j"))


async def test_a_job_with_odd_fields_hides_no_other_in_a_list(store: JobStore, redis: Redis) -> None:
    await publish(store, interval("x"))
    await store.submit(jobs(4, needs=["x"]))
    for name, field in (("j1", "limits"), ("j2", "line"), ("j3", "task")):
        await redis.hset(store.keys.job(name), field, ODD)

    found = await store.get(["j0", "j1", "j2", "j3"])

    assert found[0] is not None
    assert found[3] is not None
    assert (found[0].state, found[3].task) == ("queued", "\\xff\\xfe")
    await redis.delete(*map(store.keys.job, ["j1", "j2"]))


async def test_a_heartbeat_renews_whatever_is_to_be_cancelled(store: JobStore, redis: Redis, redis_url: str, queue: str) -> None:
    await enlist(store, "w")
    await store.submit([job("j")])
    await claim(store)
    await store.cancel("j")
    await redis.sadd(store.keys.cancels("w"), ODD)
    await redis.hset(store.keys.prefix.encode() + b"job:" + ODD, mapping={"state": "running", "worker": "w"})
    lease = LeaseStore(redis_url, queue, Settings())

    assert sorted(await asyncio.to_thread(lease.renew, "w")) == ["\\xff\\xfe", "j"]

    lease.close()
    await redis.delete(store.keys.prefix.encode() + b"job:" + ODD)
