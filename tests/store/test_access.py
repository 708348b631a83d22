"""Keys in Redis: made, changed and read again by those who know them as they are; and the audit, which has a line for each change."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from runner import Client, load_settings
from runner.access import Actor, ApiKey, AuditLine, Scope, acting
from runner.connection.client import command
from runner.errors import ConfigurationError, Unauthenticated, UnknownKey
from runner.store.job_store import JobStore
from tests.eventually import PATIENCE_S, eventually
from tests.store.builders import START_US, Clock, claim, fail_all, interval, job, publish

KEY = ApiKey("abcdefgh", "billing", (Scope.jobs_read,), (("0" * 64, 0),))
DAY_US = 86_400_000_000


@pytest.fixture
async def client(redis_url: str, queue: str) -> AsyncIterator[Client]:
    async with Client(queue, settings=load_settings(redis_url=redis_url)) as client:
        yield client


async def test_a_key_is_kept_and_read(store: JobStore) -> None:
    assert not (await store.keys_of(["abcdefgh"])).has_keys
    assert await store.change_key(None, KEY, "key created", "observer")

    answer = await store.keys_of(["abcdefgh", "nobodyyy"])

    assert (answer.now_us, answer.has_keys, answer.keys, answer.damaged) == (START_US, True, [KEY], [])
    assert await store.key_ids() == ["abcdefgh"]


async def test_a_change_of_what_has_changed_meanwhile_is_refused(store: JobStore) -> None:
    await store.change_key(None, KEY, "key created", "")
    (known,) = (await store.keys_of([KEY.id])).keys
    revoked = replace(known, revoked_us=START_US)

    assert await store.change_key(known, revoked, "key revoked", "")
    assert not await store.change_key(known, replace(known, name="other"), "key rotated", "")
    assert await store.change_key(known, revoked, "key revoked", ""), "the reply to the first may have been lost"
    assert (await store.keys_of([KEY.id])).keys == [revoked]
    assert [line.action for line in await store.audit()] == ["key created", "key revoked"]


async def test_a_damaged_record_costs_its_own_key_only(store: JobStore) -> None:
    await store.change_key(None, KEY, "key created", "")
    await command(store.redis, "HSET", store.keys.keys, "damagedd", "{")

    answer = await store.keys_of(["damagedd", KEY.id])

    assert (answer.keys, answer.damaged) == ([KEY], ["damagedd"])


async def test_the_day_of_its_last_use_is_noted_for_the_right_secret_only(store: JobStore, clock: Clock) -> None:
    await store.change_key(None, KEY, "key created", "")
    await store.keys_of([KEY.id])
    await store.keys_of([KEY.id], used=["1" * 64])
    assert (await store.keys_of([KEY.id], used=["0" * 64])).keys[0].used_day is None
    (used,) = (await store.keys_of([KEY.id])).keys
    assert used.used_day == START_US // DAY_US

    clock.advance(86_400)
    await store.keys_of([KEY.id], used=["0" * 64])

    assert (await store.keys_of([KEY.id])).keys[0].used_day == START_US // DAY_US + 1


async def test_a_change_is_announced(store: JobStore) -> None:
    heard: list[str | None] = []

    async def listen() -> None:
        async with aclosing(store.changed_keys()) as changes:
            async for key_id in changes:
                heard.append(key_id)  # noqa: PERF401 - it never ends

    listening = asyncio.create_task(listen())
    await eventually(lambda: heard)
    await store.change_key(None, KEY, "key created", "")
    await eventually(lambda: heard == [None, KEY.id])
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


Change = Callable[[JobStore], Awaitable[object]]
CHANGES: dict[str, tuple[Change, str, str, str]] = {
    "override": (
        lambda store: store.override("x", interval("x", capacity=5).to_json(), 0, "more"),
        "limit x",
        '"capacity":1',
        '"capacity":5',
    ),
    "restore": (lambda store: store.override("x", "", 0, ""), "limit x", '"capacity":1', '"capacity":1'),
    "pause": (lambda store: store.pause("x", on=True, reason="repair"), "limit x", "open", "paused: repair"),
    "resume": (lambda store: store.pause("x", on=False, reason=""), "limit x", "open", "open"),
    "freeze": (lambda store: store.freeze("x", 5_000_000, "busy"), "bucket x", "", "5 s: busy"),
    "release": (lambda store: store.freeze("x", 0, ""), "bucket x", "", ""),
    "reset": (lambda store: store.reset("x", "paid"), "bucket x", "", "paid"),
    "cancel": (lambda store: store.cancel("waiting"), "job waiting", "queued", "cancelled"),
    "cancel running": (lambda store: store.cancel("running"), "job running", "running", "stopping"),
    "retry": (lambda store: store.retry("dead"), "job dead", "failed", "queued"),
    "delete": (lambda store: store.delete("dead", "asked for"), "job dead", "failed", ""),
    "remove": (lambda store: store.forget("old"), "task old", "", ""),
    "key created": (lambda store: store.change_key(None, KEY, "key created", "observer"), "key abcdefgh billing", "", "observer"),
    "refused": (lambda store: store.note_refusals([("refused", "address 192.0.2.1", "9 times")]), "address 192.0.2.1", "", "9 times"),
}


REASONS = {"override": "more", "pause": "repair", "freeze": "busy", "reset": "paid", "delete": "asked for"}


@pytest.mark.parametrize("name", CHANGES)
async def test_every_change_leaves_a_line_of_who_made_it(store: JobStore, name: str) -> None:
    change, target, before, after = CHANGES[name]
    await store.publish({"old": "{}"}, [interval("x")])
    await store.submit([job("dead")])
    await fail_all(store, await claim(store))
    await store.submit([job("running")])
    await claim(store)
    await store.submit([job("waiting")])
    assert await store.audit() == []

    with acting(Actor("key abcdefgh billing", "192.0.2.7", "r-1")):
        await change(store)

    (line,) = await store.audit()
    assert line == AuditLine(
        line.id,
        START_US / 1_000_000,
        "key abcdefgh billing",
        "192.0.2.7",
        "r-1",
        name.removesuffix(" running"),
        target,
        line.before,
        line.after,
        REASONS.get(name, ""),
        "",
        "python",
    )
    assert before in line.before
    assert after in line.after


async def test_what_changes_nothing_leaves_no_line(store: JobStore) -> None:
    await publish(store, interval("x"))
    await store.submit([job("j")])
    for act in (store.pause("y", on=True, reason=""), store.override("y", "", 0, ""), store.reset("y", ""), store.freeze("y", 5, "")):
        await act
    with acting(Actor("ann")):
        await store.retry("j")
        await store.cancel("nobody")
        await store.forget("nobody")
        await store.delete("nobody")
        await store.delete("j")
        assert await store.audit() == []
        for _ in range(2):
            await store.cancel("j")
    await store.take("take:t", "x=1", "x")
    await store.take("take:u", "x=1", "x", wait_us=60_000_000)
    await store.cancel("take:u")

    assert [line.action for line in await store.audit()] == ["cancel"]


async def test_what_a_program_does_to_its_own_jobs_is_no_act_of_an_operator(store: JobStore) -> None:
    await store.submit([job("j")])
    await store.cancel("j")
    await store.retry("j")

    assert await store.audit() == []


async def test_the_leader_is_named_for_what_it_removes_by_policy(store: JobStore, clock: Clock) -> None:
    await store.publish({"old": "{}"}, [interval("x")])
    await store.sweep()
    clock.advance(2 * store.settings.catalog_ttl_s)
    await store.sweep()

    lines = await store.audit()

    assert {(line.action, line.target, line.reason) for line in lines} == {
        ("remove", "task old", "no worker has served it"),
        ("remove", "limit x", "nobody has declared it"),
    }
    assert {line.door for line in lines} == {"leader"}
    assert all(line.by.startswith("leader:") for line in lines)


async def test_a_line_of_a_version_before_has_no_door(store: JobStore) -> None:
    fields = ("at", "1000000", "actor", '["ann","",""]', "action", "pause", "target", "limit x", "before", "open", "after", "paused: why")
    await command(store.redis, "XADD", store.keys.audit, "*", *fields)

    (line,) = await store.audit()

    assert (line.by, line.after, line.reason, line.outcome, line.door) == ("ann", "paused: why", "", "", "")


async def test_an_actor_writes_no_control_characters(store: JobStore) -> None:
    await publish(store, interval("x"))
    with acting(Actor("key\r\n\x1b[31m", "ä" * 1_000)):
        await store.pause("x", on=True, reason="")

    ((_, fields),) = await command(store.redis, "XRANGE", store.keys.audit, "-", "+")

    assert all(32 <= byte < 127 for byte in fields[3])
    assert len((await store.audit())[0].address) == 200


async def test_the_audit_is_read_on_after_a_line_and_from_an_instant(client: Client) -> None:
    assert await client.audit() == []
    made = [await client.keys.create(name, preset="admin") for name in ("one", "two", "three")]
    lines = await client.audit(since="1h")

    assert [line.target.split()[1] for line in lines] == [one.key.id for one in made]
    assert await client.audit(after=lines[0].id) == lines[1:]
    assert await client.audit(most=1) == lines[:1]
    assert "@" in lines[0].by
    assert await client.audit(target=made[1].key.id) == [lines[1]]
    assert await client.audit(target=f"key {made[1].key.id} two") == [lines[1]]
    assert await client.audit(target="key", most=2) == lines[:2]
    assert await client.audit(target="nobody") == []
    for wrong in ({"after": "(5"}, {"since": "soon"}, {"most": 0}):
        with pytest.raises(ConfigurationError):
            await client.audit(**wrong)


async def test_a_key_is_made_checked_rotated_and_revoked(client: Client) -> None:
    made = await client.keys.create("billing", preset="producer", tasks=["charge"], tenant="t7", rate="5/s", expires="90d")
    key = await client.keys.check(f"  {made.secret}\n")
    assert (key.name, key.preset, key.tasks, key.tenant, key.rate) == ("billing", "producer", ("charge",), "t7", "5/s")
    assert key.expires_us is not None
    assert key.expires_us - key.created_us == 90 * DAY_US

    rotated = await client.keys.rotate(made.key.id, grace="24h")
    assert {(await client.keys.check(secret)).id for secret in (made.secret, rotated.secret)} == {made.key.id}
    again = await client.keys.rotate(made.key.id)
    assert (await client.keys.check(again.secret)).id == made.key.id
    for former in (made.secret, rotated.secret):
        with pytest.raises(Unauthenticated, match="not its secret"):
            await client.keys.check(former)

    assert (await client.keys.revoke(made.key.id, "leaked")).reason == "leaked"
    assert (await client.keys.revoke(made.key.id, "other")).reason == "leaked"
    with pytest.raises(Unauthenticated, match="revoked"):
        await client.keys.check(again.secret)
    with pytest.raises(ConfigurationError, match="revoked: create another"):
        await client.keys.rotate(made.key.id)
    assert [key.name for key in await client.keys.list()] == ["billing"]


async def test_a_secret_is_nowhere_in_redis(client: Client, redis: Redis, queue: str) -> None:
    made = await client.keys.create("billing", preset="admin")
    value = made.secret.split("_")[2]

    held = str(await redis.hgetall(f"runner:{{{queue}}}:keys")) + str(await redis.xrange(f"runner:{{{queue}}}:audit"))

    assert made.key.id in held
    assert value not in held


@pytest.mark.parametrize("secret", ["", "hello", "mr1_abcdefgh_" + "A" * 43 + "_AAAAAA"])
async def test_what_is_no_secret_is_refused_without_redis(secret: str) -> None:
    async with Client("away", redis_url="redis://127.0.0.1:1") as client:
        with pytest.raises(Unauthenticated, match="no key of a service"):
            await client.keys.check(secret)


async def test_wrong_words_are_refused_and_make_no_key(client: Client) -> None:
    for wrong in ({"preset": "root"}, {"preset": "admin", "expires": "soon"}, {"preset": "admin", "expires": 0}, {}):
        with pytest.raises(ConfigurationError):
            await client.keys.create("x", **wrong)
    for call in (client.keys.rotate("nobodyyy"), client.keys.revoke("nobodyyy")):
        with pytest.raises(UnknownKey, match="'nobodyyy'"):
            await call
    made = await client.keys.create("x", preset="admin")
    with pytest.raises(ConfigurationError, match="reason"):
        await client.keys.revoke(made.key.id, "a\nb")
    assert len(await client.keys.list()) == 1


async def test_a_pepper_that_redis_does_not_have_is_needed(redis_url: str, queue: str) -> None:
    async with Client(queue, settings=load_settings(redis_url=redis_url, key_pepper="salt")) as client:
        made = await client.keys.create("x", preset="admin")
        assert (await client.keys.check(made.secret)).id == made.key.id
        assert "salt" not in repr(client.settings)
    async with Client(queue, settings=load_settings(redis_url=redis_url)) as client:
        with pytest.raises(Unauthenticated):
            await client.keys.check(made.secret)


async def test_many_keys_are_listed_in_order(client: Client) -> None:
    made = [(await client.keys.create(f"key {number}", preset="observer")).key.id for number in range(120)]

    async with asyncio.timeout(PATIENCE_S):
        assert [key.id for key in await client.keys.list()] == made
