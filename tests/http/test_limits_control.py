"""Limits changed, paused and frozen over HTTP while jobs wait; what a waiting job says of it; jobs that run again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from runner import Concurrency, Quota, RateLimited, Runner, SlidingWindow, TokenBucket, Worker, load_settings
from tests.app_internals import publish
from tests.eventually import eventually
from tests.http.conftest import Service
from tests.http.test_batch import scripts_run

ACTIONS = [("PUT", ""), ("DELETE", "/override"), ("POST", "/pause"), ("POST", "/resume"), ("POST", "/freeze"), ("POST", "/release")]
BODIES: dict[str, dict[str, Any]] = {"": {"rate": "1/s"}, "/freeze": {"duration": 1}}


class Mended(asyncio.Event):
    """Set when the task `brittle` no longer fails."""


@pytest.fixture
def mended() -> Mended:
    return Mended()


@pytest.fixture
async def app(redis_url: str, queue: str, mended: Mended) -> AsyncIterator[Runner]:
    """An app with a limit of each kind, of which a token of `pay` and `tenant` comes back in an hour only."""
    app = Runner(queue, settings=load_settings(redis_url=redis_url, concurrency=10, drain_s=1.0))
    kinds = [
        TokenBucket("block", capacity=2, refill=1, every=3600),
        SlidingWindow("window", 5, per=60),
        Concurrency("gpu", 2),
        Quota("lookups", 100, per="month"),
    ]
    told: set[int] = set()

    @app.task(limits=[TokenBucket("pay", rate="1/h", burst=1)])
    async def charge(number: int = 0) -> int:
        return number

    @app.task(limits=[TokenBucket("tenant", rate="1/h", burst=1, key="{tenant}")])
    async def keyed(tenant: str) -> str:
        return tenant

    @app.task(limits=kinds)
    async def mixed() -> None: ...

    @app.task(limits=[kinds[2]])
    async def holding() -> None:
        await mended.wait()

    @app.task(limits=[TokenBucket("provider", rate="1000/s")])
    async def told_to_wait(number: int) -> int:
        if number not in told:
            told.add(number)
            raise RateLimited(retry_after=0.01)
        return number

    @app.task(retries=0)
    async def brittle() -> str:
        if not mended.is_set():
            raise ValueError("not yet")
        return "mended"

    await publish(app)
    yield app
    await app.close()


async def limit(service: Service, name: str) -> dict[str, Any]:
    answer = await service.http.get(f"/v1/limits/{name}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def act(service: Service, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = await service.http.request(method, f"/v1/limits/{path}", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json() == await limit(service, path.partition("/")[0]) | {"buckets": answer.json()["buckets"]} | {
        "frozen_s": answer.json()["frozen_s"]
    }
    changed: dict[str, Any] = answer.json()
    return changed


async def job(service: Service, job_id: str, **query: Any) -> dict[str, Any]:
    found: dict[str, Any] = (await service.http.get(f"/v1/jobs/{job_id}", params=query)).json()
    return found


async def line_up(service: Service, count: int) -> list[str]:
    """A job that has taken the only token of `pay`, and so many behind it."""
    spent = await service.submit("charge")
    assert (await job(service, spent, wait=10))["state"] == "succeeded"
    return [await service.submit("charge", args={"number": number}) for number in range(count)]


async def states(service: Service, jobs: list[str], wait: float = 0) -> list[str]:
    return [(await job(service, job_id, wait=wait))["state"] for job_id in jobs]


async def test_a_change_reads_the_limits_once_to_show_what_came_of_it(app: Runner, redis: Redis) -> None:
    await publish(app)
    control = app.client.control
    changes: list[Callable[[], Awaitable[object]]] = [
        lambda: control.override("pay", rate="2/h"),
        lambda: control.restore("pay"),
        lambda: control.pause("pay", "invoice"),
        lambda: control.resume("pay"),
        lambda: control.freeze("pay", 60),
        lambda: control.release("tenant/t7"),
    ]
    await control.show("pay")
    for change in changes:
        before = await scripts_run(redis)
        await change()
        assert await scripts_run(redis) - before == 2


async def test_a_limit_shows_what_the_code_says(service: Service) -> None:
    pay = await limit(service, "pay")
    expected = {"kind": "token_bucket", "rate": "1/h", "capacity": 1, "refill": 1, "every_s": 3600.0, "smooth": True, "key": None}
    assert (pay["name"], pay["policy"], pay["code"], pay["override"], pay["paused"]) == ("pay", expected, expected, None, None)
    assert (pay["frozen_s"], pay["frozen_reason"]) == (0, None)
    assert pay["buckets"] == [{"bucket": "pay", "tokens": 1, "waiting": 0, "next_token_s": 0, "frozen_s": 0, "frozen_reason": None}]


async def test_each_kind_has_its_own_numbers(service: Service) -> None:
    numbers_of: dict[str, dict[str, Any]] = {
        "block": {"capacity": 4, "refill": 2, "every": 60},
        "window": {"capacity": 10, "per": 30.5},
        "gpu": {"capacity": 1},
        "lookups": {"capacity": 7},
        "pay": {"rate": "5/s", "burst": 3},
    }
    for name, numbers in numbers_of.items():
        changed = await act(service, "PUT", name, numbers | {"reason": "for a while"})
        assert changed["override"]["reason"] == "for a while"
        assert changed["override"]["until"] is None
        assert changed["policy"] == changed["override"]["policy"] != changed["code"]
        assert changed["policy"]["capacity"] == numbers.get("capacity", numbers.get("burst"))
    assert (await limit(service, "window"))["policy"]["window_s"] == 30.5


async def test_when_a_slot_comes_back_nobody_knows(service: Service, worker: Worker, mended: Mended) -> None:
    await act(service, "PUT", "gpu", {"capacity": 1})
    held = await service.submit("holding")

    async def running() -> bool:
        return bool((await job(service, held))["state"] == "running")

    await eventually(running)
    (bucket,) = (await limit(service, "gpu"))["buckets"]
    assert (bucket["tokens"], bucket["next_token_s"]) == (0, None)
    told = await job(service, await service.submit("holding"), explain=1)
    assert (told["reason"], told["eta_s"]) == ("concurrency", None)
    assert "its slot is taken" in told["explanation"][1]
    mended.set()
    assert (await job(service, held, wait=5))["state"] == "succeeded"


async def test_ten_times_the_rate_is_a_tenth_of_the_wait_at_once(service: Service, worker: Worker) -> None:
    (waiting,) = await line_up(service, 1)
    assert 3500 < (await job(service, waiting))["eta_s"] <= 3600
    changed = await act(service, "PUT", "pay", {"rate": "10/h"})
    assert changed["policy"]["rate"] == "10/h"
    assert 300 < (await job(service, waiting))["eta_s"] <= 360


async def test_a_faster_limit_starts_those_who_wait_at_once(service: Service, worker: Worker) -> None:
    waiting = await line_up(service, 3)
    assert await states(service, waiting) == ["waiting"] * 3
    await act(service, "PUT", "pay", {"rate": "1000/s"})
    assert await states(service, waiting, wait=1) == ["succeeded"] * 3


async def test_an_override_ends_by_itself(service: Service) -> None:
    before = datetime.now(UTC)
    changed = await act(service, "PUT", "pay", {"rate": "1000/s", "duration": 0.5, "reason": "sale"})
    until = datetime.fromisoformat(changed["override"]["until"])
    assert timedelta(0) < until - before < timedelta(seconds=5)
    assert until - datetime.fromisoformat(changed["override"]["since"]) == timedelta(seconds=0.5)

    async def ended() -> bool:
        return (await limit(service, "pay"))["override"] is None

    await eventually(ended)
    pay = await limit(service, "pay")
    assert pay["policy"] == pay["code"]


async def test_restoring_goes_back_to_the_code(service: Service, worker: Worker) -> None:
    (waiting,) = await line_up(service, 1)
    await act(service, "PUT", "pay", {"rate": "2/h"})
    assert (await job(service, waiting))["eta_s"] < 1801
    changed = await act(service, "DELETE", "pay/override")
    assert (changed["override"], changed["policy"]["rate"]) == (None, "1/h")
    assert (await job(service, waiting))["eta_s"] > 3500
    await act(service, "DELETE", "pay/override")


async def test_a_paused_limit_starts_nothing_until_it_is_resumed(service: Service, worker: Worker) -> None:
    changed = await act(service, "POST", "pay/pause", {"reason": "invoice unpaid"})
    assert changed["paused"]["reason"] == "invoice unpaid"
    assert datetime.now(UTC) - datetime.fromisoformat(changed["paused"]["since"]) < timedelta(seconds=10)
    job_id = await service.submit("charge")
    told = await job(service, job_id, explain=1)
    assert (told["state"], told["reason"], told["eta_s"]) == ("waiting", "paused", None)
    explanation = "\n".join(told["explanation"])
    assert "invoice unpaid" in explanation
    assert "limits resume pay" in explanation
    await act(service, "POST", "pay/resume")
    assert (await job(service, job_id, wait=5))["state"] == "succeeded"


async def test_a_frozen_bucket_says_why_and_until_when(service: Service, worker: Worker) -> None:
    changed = await act(service, "POST", "pay/freeze", {"duration": 600, "reason": "trouble"})
    (bucket,) = changed["buckets"]
    assert (bucket["frozen_reason"], 590 < bucket["frozen_s"] <= 600) == ("trouble", True)
    job_id = await service.submit("charge")
    told = await job(service, job_id, explain=True)
    assert (told["reason"], 590 < told["eta_s"] <= 600) == ("frozen", True)
    explanation = "\n".join(told["explanation"])
    for word in (" pay ", "1/h", "trouble", "next in line", "limits release pay", "UTC"):
        assert word in explanation
    await act(service, "POST", "pay/release")
    assert (await job(service, job_id, wait=5))["state"] == "succeeded"


async def test_a_shorter_freeze_shortens_nothing(service: Service) -> None:
    for name in ("pay", "tenant"):
        await act(service, "POST", f"{name}/freeze", {"duration": 600, "reason": "trouble"})
        await act(service, "POST", f"{name}/freeze", {"duration": 5, "reason": "hiccup"})
    (bucket,) = (await limit(service, "pay"))["buckets"]
    tenant = await limit(service, "tenant")
    assert (bucket["frozen_reason"], bucket["frozen_s"] > 590) == ("trouble", True)
    assert (tenant["frozen_reason"], tenant["frozen_s"] > 590) == ("trouble", True)


async def test_one_bucket_of_a_limit_is_frozen_or_all_of_them(service: Service, worker: Worker) -> None:
    await act(service, "POST", "tenant/freeze", {"duration": 600, "bucket": "tenant/no 7"})
    seventh = await service.submit("keyed", args={"tenant": "no 7"})
    eighth = await service.submit("keyed", args={"tenant": "no 8"})
    assert (await job(service, eighth, wait=5))["state"] == "succeeded"
    assert (await job(service, seventh))["reason"] == "frozen"
    changed = await act(service, "POST", "tenant/release", {"bucket": "tenant/no%207"})
    assert changed["frozen_s"] == 0
    assert (await job(service, seventh, wait=5))["state"] == "succeeded"

    changed = await act(service, "POST", "tenant/freeze", {"duration": 600, "reason": "trouble"})
    assert (changed["frozen_reason"], 590 < changed["frozen_s"] <= 600) == ("trouble", True)
    ninth = await service.submit("keyed", args={"tenant": "t9"})
    told = await job(service, ninth, explain=1)
    assert (told["reason"], told["limit"], told["bucket"], 590 < told["eta_s"] <= 600) == ("frozen", "tenant", "tenant/t9", True)
    assert "trouble" in told["explanation"][1]
    await act(service, "POST", "tenant/release")
    assert (await job(service, ninth, wait=5))["state"] == "succeeded"


async def test_a_job_that_lacks_a_token_says_so_with_numbers(service: Service, worker: Worker) -> None:
    waiting = await line_up(service, 3)
    told = await job(service, waiting[2], explain=1)
    explanation = "\n".join(told["explanation"])
    for word in (" pay ", "1/h", "no token", "2 jobs are ahead", "place is 3", "the next lands in", "starts in about", "limits show pay"):
        assert word in explanation, (word, explanation)
    assert (await job(service, waiting[2]))["explanation"] is None


async def test_a_job_whose_provider_said_wait_counts_it_and_no_failure(service: Service, worker: Worker) -> None:
    told = await job(service, await service.submit("told_to_wait", args={"number": 1}), wait=10)
    assert (told["state"], told["throttled"], told["failures"]) == ("succeeded", 1, 0)


async def test_a_job_that_may_not_wait_so_long_expires(service: Service, worker: Worker) -> None:
    await line_up(service, 0)
    told = await job(service, await service.submit("charge", max_wait=0.2), wait=10, explain=1)
    assert told["state"] == "expired"
    assert "retry" in told["explanation"][-1]


async def test_a_failed_job_runs_again(service: Service, worker: Worker, mended: Mended) -> None:
    job_id = await service.submit("brittle")
    failed = await job(service, job_id, wait=10, explain=1)
    assert (failed["state"], failed["attempt"]) == ("failed", 1)
    assert failed["explanation"][-1].endswith(f"retry {job_id}")
    mended.set()
    again = await service.http.post(f"/v1/jobs/{job_id}/retry")
    assert (again.status_code, again.json()["error"]) == (200, None)
    done = await job(service, job_id, wait=10)
    assert (done["state"], done["result"], done["attempt"]) == ("succeeded", "mended", 2)


async def test_a_retried_job_has_all_the_time_there_is(service: Service, worker: Worker) -> None:
    await line_up(service, 0)
    job_id = await service.submit("charge", max_wait=1.0)
    await service.http.delete(f"/v1/jobs/{job_id}")
    await service.http.post(f"/v1/jobs/{job_id}/retry")
    assert (await job(service, job_id, wait=2))["state"] == "waiting"


@pytest.mark.parametrize("state", ["scheduled", "succeeded"])
async def test_a_job_that_has_not_failed_cannot_run_again(service: Service, worker: Worker, state: str) -> None:
    job_id = await service.submit("mixed", delay=60 if state == "scheduled" else 0)
    if state == "succeeded":
        await job(service, job_id, wait=10)
    answer = await service.http.post(f"/v1/jobs/{job_id}/retry", json={})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/cannot-retry")
    assert state in answer.json()["detail"]


async def test_running_a_job_again_can_be_repeated(service: Service, worker: Worker) -> None:
    """The answer to the first request may have been lost."""
    (waiting,) = await line_up(service, 1)
    await service.http.delete(f"/v1/jobs/{waiting}")
    for _ in range(2):
        answer = await service.http.post(f"/v1/jobs/{waiting}/retry")
        assert (answer.status_code, answer.json()["state"], answer.json()["position"]) == (200, "waiting", 1)


async def test_a_job_nobody_submitted_cannot_run_again(service: Service) -> None:
    answer = await service.http.post("/v1/jobs/none/retry")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("pay", {}, "no number"),
        ("pay", {"duration": 5}, "no number"),
        ("pay", {"per": 5}, "'per'"),
        ("gpu", {"rate": "1/s"}, "'rate'"),
        ("pay", {"rate": "often"}, "often"),
        ("pay", {"rate": "0/s"}, "never"),
        ("pay", {"rate": "9" * 90 + "/s"}, "not understood"),
        ("pay", {"burst": 0}, "burst"),
        ("pay", {"burst": -1}, "burst"),
        ("pay", {"burst": 10**400}, "burst"),
        ("pay", {"rate": "1/s", "capacity": 5}, "rate and burst, or"),
        ("pay", {"rate": "9999999999999999/s"}, "pay"),
        ("block", {"every": 0}, "every"),
        ("block", {"every": -1.5}, "every"),
        ("block", {"every": 1e300}, "every"),
        ("window", {"per": 1e-9}, "per"),
        ("window", {"capacity": 10**6}, "TokenBucket"),
        ("pay", {"rate": "1/s", "duration": 0}, "more than 0 s"),
        ("pay", {"rate": "1/s", "duration": -1}, "more than 0 s"),
        ("pay", {"rate": "1/s", "duration": 1e12}, "366 days"),
    ],
)
async def test_impossible_numbers_are_refused_and_change_nothing(service: Service, name: str, body: dict[str, Any], said: str) -> None:
    before = await limit(service, name)
    answer = await service.http.put(f"/v1/limits/{name}", json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/impossible-limit"), answer.text
    assert said in answer.json()["detail"]
    assert await limit(service, name) == before


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("pay", {"speed": 1}, "the fields are rate, burst"),
        ("pay", {"rate": 10}, "#/rate"),
        ("pay", {"burst": 1.5}, "#/burst"),
        ("pay", {"burst": True}, "#/burst"),
        ("pay", {"rate": "1/s", "reason": "x" * 501}, "#/reason"),
        ("pay/pause", {"why": "x"}, "the fields are reason"),
        ("pay/resume", {"reason": "x"}, "unknown field"),
        ("pay/freeze", {}, "#/duration"),
        ("pay/freeze", {"duration": "5"}, "#/duration"),
        ("pay/freeze", {"duration": 5, "bucket": "tenant"}, "pay/KEY"),
    ],
)
async def test_a_body_that_does_not_fit_says_where(service: Service, path: str, body: dict[str, Any], said: str) -> None:
    answer = await service.http.request("POST" if "/" in path else "PUT", f"/v1/limits/{path}", json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/validation"), answer.text
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("pay/freeze", {"duration": 0}, "more than 0 s"),
        ("pay/freeze", {"duration": -3}, "more than 0 s"),
        ("pay/freeze", {"duration": 1e12}, "366 days"),
        ("pay/freeze", {"duration": 1, "bucket": "pay/t7"}, "no key"),
        ("tenant/release", {"bucket": "tenant/"}, "empty key"),
    ],
)
async def test_a_freeze_that_cannot_be_is_refused(service: Service, path: str, body: dict[str, Any], said: str) -> None:
    answer = await service.http.post(f"/v1/limits/{path}", json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/impossible-limit")
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(("method", "path"), [("GET", ""), *ACTIONS])
async def test_an_unknown_limit_is_not_found_and_the_known_are_named(service: Service, method: str, path: str) -> None:
    answer = await service.http.request(method, f"/v1/limits/stirpe{path}", json=BODIES.get(path))
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/unknown-limit")
    assert "'stirpe'" in answer.json()["detail"]
    assert "pay, provider, tenant" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/v1/limits/pay/pause", "/v1/limits/pay/resume", "/v1/limits/pay/release", "/v1/jobs/x/retry"])
async def test_a_page_of_another_site_cannot_send_even_an_empty_body(service: Service, path: str) -> None:
    for headers in ({"origin": "https://elsewhere.example"}, {"content-type": "text/plain"}, {"origin": "null"}):
        answer = await service.http.post(path, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (415, "/problems/unsupported-media-type")
    own = await service.http.post(path, headers={"origin": service.url})
    assert own.status_code == (404 if path.endswith("retry") else 200)
