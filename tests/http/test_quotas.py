"""Quotas: the rate of a key, counted by all services together; addresses that fail to name a key; waits and unended jobs of one key."""

import asyncio
from collections.abc import AsyncIterator

import httpx
from pydantic_core import to_json
from redis.asyncio import Redis

from runner import Runner
from runner.http.at_once import MOST_OWN_WAITS
from runner.http.bodies import MAX_BYTES
from runner.http.body_price import BYTES_A_TOKEN
from runner.http.quotas import FAILURES
from runner.store.keys import Keys
from tests.eventually import eventually
from tests.http.conftest import Service, serving
from tests.http.test_keys import MADE_UP, bearer, made, problem


async def test_a_key_has_its_rate_whatever_service_it_asks(app: Runner, service: Service) -> None:
    slow, other = await made(app, rate="3/h"), await made(app, rate="3/h")
    async with serving(app.settings, app.queue) as second:
        answers = [await at.http.get("/v1/tasks", headers=slow) for at in (service, second, service, second)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert problem(answers[3]) == (429, "too-many-requests")
    assert 1_000 < int(answers[3].headers["retry-after"]) <= 1_200
    assert (await service.http.get("/v1/tasks", headers=other)).status_code == 200, "a bucket of its own"


async def test_a_refused_request_has_done_nothing(app: Runner, service: Service, redis: Redis) -> None:
    slow = await made(app, rate="1/h")
    jobs = [await service.http.post("/v1/jobs", json={"task": "add", "args": {"left": 1}, "id": name}, headers=slow) for name in "ab"]

    assert [answer.status_code for answer in jobs] == [202, 429]
    assert [await redis.exists(Keys(app.queue).job(name)) for name in "ab"] == [1, 0]


async def test_a_batch_takes_a_token_for_each_job_and_a_large_body_one_for_each_part(app: Runner, service: Service) -> None:
    batch = {"jobs": [{"task": "add", "args": {"left": number}} for number in range(4)]}
    slow = await made(app, rate="5/h")
    assert (await service.http.post("/v1/jobs/batch", json=batch, headers=slow)).status_code == 202
    assert problem(await service.http.post("/v1/jobs/batch", json=batch, headers=slow)) == (429, "too-many-requests")
    narrow = await made(app, rate="3/h")
    assert problem(await service.http.post("/v1/jobs/batch", json={"jobs": batch["jobs"] * 2}, headers=narrow)) == (422, "exceeds-capacity")

    wide = await made(app, rate="4/h")
    large = {"task": "echo", "args": {"value": "x" * 150_000}}
    assert [(await service.http.post("/v1/jobs", json=large, headers=wide)).status_code for _ in range(2)] == [202, 429]


async def in_chunks(content: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(content), 10_000):
        yield content[at : at + 10_000]


async def test_a_body_of_no_declared_length_costs_what_came_of_it(app: Runner, service: Service) -> None:
    large = to_json({"task": "echo", "args": {"value": "x" * 150_000}})

    async def send(key: dict[str, str], content: bytes = large) -> httpx.Response:
        return await service.http.post("/v1/jobs", content=in_chunks(content), headers={**key, "content-type": "application/json"})

    wide = await made(app, rate="4/h")
    answers = [await send(wide) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 429]
    assert 2 * 900 < int(answers[1].headers["retry-after"]) <= 3 * 900 + 1, "with time for the token that was spent on the refusal"
    narrow = await made(app, rate="2/h")
    assert problem(await send(narrow)) == (422, "exceeds-capacity")
    small = await made(app, rate="2/h")
    assert [(await send(small, to_json({"task": "add", "args": {"left": 1}}))).status_code for _ in range(3)] == [202, 202, 429]


async def test_a_body_that_is_given_up_costs_what_came_of_it(app: Runner, service: Service) -> None:
    key = {**await made(app, rate="30/h"), "content-type": "application/json"}
    tokens = MAX_BYTES // BYTES_A_TOKEN
    answers = [await service.http.post("/v1/jobs", content=in_chunks(b"x" * 2 * MAX_BYTES), headers=key) for _ in range(2)]

    assert [problem(answer)[0] for answer in answers] == [413, 429]
    left = [(await service.http.get("/v1/tasks", headers=key)).status_code for _ in range(30 - tokens)]
    assert 200 in left
    assert left[-1] == 429


async def test_who_comes_back_with_a_batch_when_told_is_served(app: Runner, service: Service) -> None:
    batch = {"jobs": [{"task": "add", "args": {"left": number}} for number in range(4)]}
    key = await made(app, rate="4/s")
    assert (await service.http.post("/v1/jobs/batch", json=batch, headers=key)).status_code == 202
    refused = await service.http.post("/v1/jobs/batch", json=batch, headers=key)
    while refused.status_code == 429:
        await asyncio.sleep(int(refused.headers["retry-after"]))
        refused = await service.http.post("/v1/jobs/batch", json=batch, headers=key)
    assert refused.status_code == 202
    slow = await made(app, rate="4/h")
    for number in range(2):
        assert (await service.http.get("/v1/tasks", headers=slow)).status_code == 200, number
    told = int((await service.http.post("/v1/jobs/batch", json=batch, headers=slow)).headers["retry-after"])
    assert 2 * 900 < told <= 3 * 900 + 1, "for the three jobs, of which one token is there, and for the first token again"


async def test_an_address_that_fails_too_often_stays_away_and_its_known_key_does_not(app: Runner, service: Service) -> None:
    key = await made(app)
    spoofed = [{**bearer(MADE_UP), "x-forwarded-for": f"203.0.113.{number}"} for number in range(100)]
    answers = [await service.http.get("/v1/tasks", headers=headers) for headers in spoofed]

    told = [answer.status_code for answer in answers]
    assert told == [401] * FAILURES.capacity + [429] * (100 - FAILURES.capacity)
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    assert (await service.http.get("/v1/tasks", headers=key)).status_code == 200


async def test_behind_a_trusted_proxy_each_address_has_its_own_failures(app: Runner) -> None:
    await made(app)
    async with serving(app.settings.model_copy(update={"trusted_proxies": "127.0.0.1"}), app.queue) as service:
        for number in range(30):
            headers = {"x-forwarded-for": f"203.0.113.{number}"}
            assert problem(await service.http.get("/v1/tasks", headers=headers)) == (401, "unauthenticated")


async def test_a_key_has_so_many_waits_at_once(app: Runner, service: Service) -> None:
    key, other = await made(app), await made(app)
    job = (await service.http.post("/v1/jobs", json={"task": "held"}, headers=key)).json()["id"]

    async def wait(http: httpx.AsyncClient, headers: dict[str, str], seconds: int = 60) -> httpx.Response:
        return await http.get(f"/v1/jobs/{job}", params={"wait": seconds}, headers=headers)

    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=service.url, timeout=60, trust_env=False, limits=limits) as http:
        waiting = [asyncio.create_task(wait(http, key)) for _ in range(MOST_OWN_WAITS)]
        await eventually(lambda: sum("JobHandle.wait" in repr(task) for task in asyncio.all_tasks()) == MOST_OWN_WAITS)
        assert problem(await wait(http, key)) == (429, "too-many-requests")
        assert (await http.get(f"/v1/jobs/{job}", headers=key)).status_code == 200
        assert (await wait(http, other, 1)).status_code == 200
        await http.delete(f"/v1/jobs/{job}", headers=key)
        assert {answer.json()["state"] for answer in await asyncio.gather(*waiting)} == {"cancelled"}
        assert (await wait(http, key)).status_code == 200


async def test_a_key_may_leave_room_in_the_queue_for_others(app: Runner, service: Service) -> None:
    modest, free = await made(app, max_backlog=2), await made(app)
    body = {"task": "add", "args": {"left": 1}}
    assert [(await service.http.post("/v1/jobs", json=body, headers=modest)).status_code for _ in range(2)] == [202, 202]

    answer = await service.http.post("/v1/jobs", json=body, headers=modest)
    assert problem(answer) == (503, "overloaded")
    assert answer.headers["retry-after"]
    assert {name: answer.json()[name] for name in ("backlog", "max_backlog", "refused")} == {"backlog": 2, "max_backlog": 2, "refused": 1}
    assert problem(await service.http.post("/v1/jobs/batch", json={"jobs": [body]}, headers=modest)) == (503, "overloaded")
    assert (await service.http.post("/v1/jobs", json=body, headers=free)).status_code == 202
