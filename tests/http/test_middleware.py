"""The 429 middleware through a real server: who is let through, what refused callers are told, and whose bucket counts."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Response
from redis.asyncio import Redis

from runner import Limit, Quota, Runner, SlidingWindow, TokenBucket, load_settings
from runner.asgi import Rule, by_api_key, by_client_address, by_header, by_user
from tests.app_internals import publish, store_of
from tests.eventually import PATIENCE_S
from tests.http.metered import PATIENT_S, metered, passed, serving_metered, statuses
from tests.http.uvicorn_server import serving
from tests.leftovers import keys_of
from tests.servers import Server

SCARCE = TokenBucket("scarce", capacity=2, refill=1, every=3600)
PLENTY = TokenBucket("plenty", capacity=100, refill=1, every=3600)
BY_ADDRESS = Rule(limit=TokenBucket("address", rate="2/h", key="{client}"), key=by_client_address)


async def test_refused_callers_get_429_with_a_problem_and_the_time_to_come_back(redis_url: str, queue: str) -> None:
    async with serving_metered(redis_url, queue, [Rule(limit=SCARCE)]) as http:
        assert await statuses(http, 2) == [200, 200]
        answer = await http.get("/")

    assert answer.status_code == 429
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "3600"
    assert answer.headers["ratelimit-policy"] == '"scarce";q=2;w=7200'
    assert answer.headers["ratelimit"] == '"scarce";r=0;t=3600'
    document = answer.json()
    assert document["type"].endswith("#quota-exceeded")
    assert document["status"] == 429
    assert document["violated-policies"] == ["scarce"]


async def test_admitted_callers_are_told_how_they_stand(redis_url: str, queue: str) -> None:
    async with serving_metered(redis_url, queue, [Rule(limit=PLENTY, cost=10)]) as http:
        answers = [await http.get("/a") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[1].text == "a"
    assert answers[1].headers["ratelimit-policy"] == '"plenty";q=100;w=360000'
    assert answers[1].headers["ratelimit"] == '"plenty";r=80;t=288000'
    assert "retry-after" not in answers[1].headers


async def test_who_comes_back_when_told_to_is_let_through(redis_url: str, queue: str) -> None:
    async with serving_metered(redis_url, queue, [Rule(limit=TokenBucket("second", capacity=1, refill=1, every=1.0))]) as http:
        for _ in range(2):
            assert (await http.get("/")).status_code == 200
            refused = await http.get("/")
            assert refused.status_code == 429
            assert refused.headers["retry-after"] == "1"
            await passed(int(refused.headers["retry-after"]))


async def test_a_spent_quota_says_when_its_period_ends(private_server: Server) -> None:
    async with serving_metered(private_server.url, "quota", [Rule(limit=Quota("daily", 2, per="day"))]) as http:
        assert await statuses(http, 2) == [200, 200]
        refused = await http.get("/")

    now = datetime.now(UTC)
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    left_s = (midnight - now).total_seconds()
    assert refused.headers["ratelimit-policy"] == '"daily";q=2;w=86400'
    assert refused.headers["ratelimit"] == f'"daily";r=0;t={refused.headers["retry-after"]}'
    assert left_s <= int(refused.headers["retry-after"]) <= left_s + 10


async def test_of_parallel_requests_exactly_the_capacity_gets_through(redis_url: str, queue: str) -> None:
    limit = TokenBucket("crowd", capacity=23, refill=1, every=3600)
    async with serving_metered(redis_url, queue, [Rule(limit=limit)]) as http:
        answers = await asyncio.gather(*[http.get("/") for _ in range(200)])

    assert sorted(answer.status_code for answer in answers) == [200] * 23 + [429] * 177


async def test_the_answer_comes_before_the_body(redis_url: str, queue: str) -> None:
    app = metered(Runner(queue, redis_url=redis_url), [Rule(limit=SCARCE)])
    async with serving(app) as http:
        assert await statuses(http, 2) == [200, 200]
        reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n")
        async with asyncio.timeout(PATIENCE_S):
            status_line = await reader.readline()
        writer.close()
        await writer.wait_closed()

    assert status_line == b"HTTP/1.1 429 Too Many Requests\r\n"
    assert len(app.state.bodies) == 2


async def test_an_admitted_body_arrives_whole(redis_url: str, queue: str) -> None:
    app = metered(Runner(queue, redis_url=redis_url), [Rule(limit=PLENTY)])
    async with serving(app) as http:
        await http.post("/", content=b"x" * 1_000_000)

    assert app.state.bodies == [b"x" * 1_000_000]


async def test_head_is_refused_without_a_body(redis_url: str, queue: str) -> None:
    async with serving_metered(redis_url, queue, [Rule(limit=SCARCE, methods={"GET"})]) as http:
        answers = [await http.head("/") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].content == b""


async def test_rules_choose_by_path_and_method_and_the_first_of_a_limit_counts(redis_url: str, queue: str) -> None:
    rules = [
        Rule(limit=PLENTY, path="/health", cost=0),
        Rule(limit=PLENTY, path="/v1/search", cost=40),
        Rule(limit=PLENTY, path="/v1/", methods={"POST"}, cost=10),
    ]
    async with serving_metered(redis_url, queue, rules) as http:
        left = [
            answer.headers.get("ratelimit", "").partition(";t")[0]
            for answer in [
                await http.get("/health"),
                await http.post("/v1/search"),
                await http.post("/v1/orders"),
                await http.get("/v1/orders"),
                await http.get("/elsewhere"),
            ]
        ]

    assert left == ["", '"plenty";r=60', '"plenty";r=50', "", ""]


async def test_all_limits_of_a_request_are_taken_or_none(redis_url: str, queue: str) -> None:
    async with serving_metered(redis_url, queue, [Rule(limit=PLENTY), Rule(limit=SCARCE, path="/both")]) as http:
        assert await statuses(http, 4, "/both") == [200, 200, 429, 429]
        refused = await http.get("/both")
        admitted = await http.get("/one")

    assert refused.json()["violated-policies"] == ["scarce"]
    assert refused.headers["ratelimit"] == '"plenty";r=98;t=352800, "scarce";r=0;t=3600'
    assert admitted.headers["ratelimit"].startswith('"plenty";r=97;')


async def test_a_hundred_invented_addresses_are_one_client(redis_url: str, queue: str) -> None:
    async with serving_metered(redis_url, queue, [BY_ADDRESS]) as http:
        answers = [
            (await http.get("/", headers={"X-Forwarded-For": f"203.0.113.{n}", "Forwarded": f"for=203.0.113.{n}"})).status_code
            for n in range(100)
        ]

    assert answers == [200] * 2 + [429] * 98


async def test_behind_a_trusted_proxy_the_address_it_saw_counts(redis_url: str, queue: str) -> None:
    async with serving_metered(redis_url, queue, [BY_ADDRESS], trusted_proxies=["127.0.0.0/8"]) as http:
        invented = [await statuses(http, 1, headers={"X-Forwarded-For": f"203.0.113.{n}, 198.51.100.7"}) for n in range(4)]
        another = await statuses(http, 1, headers={"X-Forwarded-For": "198.51.100.8"})

    assert invented == [[200], [200], [429], [429]]
    assert another == [200]


async def test_a_64_of_ipv6_is_one_client(redis_url: str, queue: str) -> None:
    async with serving_metered(redis_url, queue, [BY_ADDRESS], trusted_proxies=["127.0.0.1"]) as http:
        same = [await statuses(http, 1, headers={"X-Forwarded-For": f"2001:db8:1:2:{n:x}::1"}) for n in range(4)]
        next_one = await statuses(http, 1, headers={"X-Forwarded-For": "2001:db8:1:3::1"})

    assert same == [[200], [200], [429], [429]]
    assert next_one == [200]


async def everything_in_redis(redis: Redis, queue: str) -> bytes:
    readers: dict[bytes | str, Any] = {
        b"hash": redis.hgetall,
        b"string": redis.get,
        b"zset": lambda key: redis.zrange(key, 0, -1),
        b"list": lambda key: redis.lrange(key, 0, -1),
        b"set": redis.smembers,
        b"stream": redis.xrange,
    }
    found = [(key, await readers[await redis.type(key)](key)) for key in await keys_of(redis, queue)]
    return repr(found).encode()


async def test_an_api_key_is_in_redis_only_as_a_hash(redis: Redis, redis_url: str, queue: str) -> None:
    limit = SlidingWindow("api", 2, per=60, key="{key}")
    async with serving_metered(redis_url, queue, [Rule(limit=limit, key=by_api_key())]) as http:
        mine = {"X-API-Key": "sk-live-0123456789"}
        assert await statuses(http, 3, headers=mine) == [200, 200, 429]
        assert await statuses(http, 1, headers={"X-API-Key": "sk-live-another"}) == [200]
        assert await statuses(http, 3) == [200, 200, 429]  # without a key: by address
        refused = await http.get("/", headers=mine)

    stored = await everything_in_redis(redis, queue)
    assert b"address:127.0.0.1" in stored
    assert b"sk-live" not in stored
    assert "sk-live" not in f"{refused.headers}{refused.text}"


async def test_each_user_has_their_own_bucket_which_jobs_share(redis_url: str, queue: str) -> None:
    tenant = TokenBucket("tenant", rate="2/h", key="{tenant_id}")
    jobs = Runner(queue, redis_url=redis_url)
    async with serving(metered(jobs, [Rule(limit=tenant, key=by_header("X-Tenant"))])) as http:
        await jobs.take("tenant", {"tenant_id": "t7"})
        assert await statuses(http, 2, headers={"X-Tenant": "t7"}) == [200, 429]
        assert await statuses(http, 3, headers={"X-Tenant": "t8"}) == [200, 200, 429]


async def test_a_key_function_that_fails_fails_no_request(redis_url: str, queue: str) -> None:
    def broken(_: object) -> str:
        raise KeyError("user")

    limit = TokenBucket("user", rate="2/h", key="{user}")
    async with serving_metered(redis_url, queue, [Rule(limit=limit, key=by_user(broken))]) as http:
        assert await statuses(http, 3) == [200, 200, 429]


async def test_distinct_keys_are_bounded_and_expire(redis: Redis, redis_url: str, queue: str) -> None:
    limit = TokenBucket("user", rate="1/h", key="{user}")
    async with serving_metered(redis_url, queue, [Rule(limit=limit, key=by_header("X-User"))], max_keys=10) as http:
        answers = [(await statuses(http, 1, headers={"X-User": f"{'long' * 1000}{n}"}))[0] for n in range(50)]

    assert answers == [200] * 10 + [429] * 40
    buckets = [key for key in await keys_of(redis, queue) if ":bucket:" in key]
    assert len(buckets) == 10
    assert max(map(len, buckets)) < 128
    lives_ms = [await redis.pttl(key) for key in buckets]
    assert 0 < min(lives_ms) <= max(lives_ms) <= 3_610_100


async def test_invented_keys_take_no_place_of_those_that_the_app_knows(redis_url: str, queue: str) -> None:
    """One address invents keys without end; callers whose keys the app accepts keep buckets of their own, those who come later too."""
    limit = TokenBucket("user", rate="2/h", key="{user}")
    rule = Rule(limit=limit, key=by_api_key(), path="/app/")
    jobs = Runner(queue, settings=load_settings(redis_url=redis_url, command_timeout_s=PATIENT_S))
    app = guarded(metered(jobs, [rule], max_keys=20, trusted_proxies=["127.0.0.1"]))
    async with serving(app) as http:

        async def ask(key: str, address: str) -> int:
            return (await http.get("/app/", headers={"X-API-Key": key, "X-Forwarded-For": address})).status_code

        assert await ask("known-0", "10.0.0.1") == 200
        assert {await ask(f"invented-{n}", "10.6.6.6") for n in range(100)} <= {401, 429}
        assert await ask("known-0", "10.0.0.1") == 200
        assert await ask("known-0", "10.0.0.1") == 429
        for number in range(1, 5):
            assert [await ask(f"known-{number}", f"10.0.0.{number}") for _ in range(3)] == [200, 200, 429]


def guarded(app: FastAPI) -> FastAPI:
    """The same app, which knows the keys that begin with "known"."""
    inner = app.router.routes[0].app  # type: ignore[attr-defined]

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        known = any(name == b"x-api-key" and value.startswith(b"known") for name, value in scope["headers"])
        await (inner if known else Response(status_code=401))(scope, receive, send)

    app.router.routes[0].app = answer  # type: ignore[attr-defined]
    return app


async def test_keys_that_the_app_calls_its_own_have_places_at_once_and_others_count_for_their_address(
    redis: Redis, redis_url: str, queue: str
) -> None:
    limit = TokenBucket("user", rate="1/h", key="{user}")

    def is_ours(scope: Any) -> bool:
        return any(name == b"x-user" and value.startswith(b"ours") for name, value in scope["headers"])

    async with serving_metered(redis_url, queue, [Rule(limit=limit, key=by_header("X-User"), valid=is_ours)]) as http:
        strange = [(await statuses(http, 1, headers={"X-User": f"strange-{n}"}))[0] for n in range(5)]
        ours = [(await statuses(http, 1, headers={"X-User": f"ours-{n}"}))[0] for n in range(5)]
    assert (strange, ours) == ([200, 429, 429, 429, 429], [200] * 5)
    assert len([key for key in await keys_of(redis, queue) if ":bucket:" in key]) == 6


@pytest.mark.parametrize("path", ["/login%0A", "/login%0D%0A", "/%00login", "/login%7F"])
async def test_a_path_that_rules_and_routes_could_see_differently_is_refused(redis_url: str, queue: str, path: str) -> None:
    async with serving_metered(redis_url, queue, [Rule(limit=SCARCE, path="/login")]) as http:
        answer = await http.get(path)
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
        assert "control characters" in answer.json()["detail"]


async def test_an_override_in_force_is_what_callers_are_told(redis_url: str, queue: str) -> None:
    jobs = Runner(queue, redis_url=redis_url)
    jobs.limit(PLENTY)
    await publish(jobs)
    lower: Limit = TokenBucket("plenty", capacity=1, refill=1, every=3600)
    await store_of(jobs).override("plenty", lower.to_json(), 0, "less for now")
    async with serving(metered(jobs, [Rule(limit=PLENTY)])) as http:
        answers = [await http.get("/") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 429]
    assert answers[0].headers["ratelimit-policy"] == '"plenty";q=1;w=3600'


async def test_a_paused_limit_is_not_the_callers_fault(redis_url: str, queue: str) -> None:
    jobs = Runner(queue, redis_url=redis_url)
    async with serving(metered(jobs, [Rule(limit=PLENTY)])) as http:
        await store_of(jobs).pause("plenty", on=True, reason="maintenance")
        answer = await http.get("/")

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "30"
    assert json.loads(answer.text)["type"].endswith("#temporary-reduced-capacity")


async def test_limits_that_redis_has_lost_are_published_again(redis: Redis, redis_url: str, queue: str) -> None:
    async with serving_metered(redis_url, queue, [Rule(limit=SCARCE)], on_error="closed") as http:
        assert await statuses(http, 3) == [200, 200, 429]
        await redis.delete(*await keys_of(redis, queue))
        assert await statuses(http, 3) == [200, 200, 429]


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
async def test_what_no_rule_speaks_of_passes_untouched(redis_url: str, queue: str, method: str) -> None:
    async with serving_metered(redis_url, queue, [Rule(limit=SCARCE, path="/v1/")]) as http:
        answers: list[httpx.Response] = [await http.request(method, "/v2") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200] * 3
    assert not any("ratelimit" in name for answer in answers for name in answer.headers)
