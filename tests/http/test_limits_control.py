"""Limits changed, paused and frozen over HTTP while jobs wait."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from redis.asyncio import Redis

from runner import Runner, Worker
from tests.app_internals import publish
from tests.eventually import eventually
from tests.http.conftest import Service
from tests.http.scarce import Mended, act, job, limit, line_up, states
from tests.http.scarce import app as app
from tests.http.scarce import mended as mended
from tests.http.test_batch import scripts_run


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
        lambda: control.reset("tenant/t7"),
    ]
    await control.show("pay")
    for change in changes:
        before = await scripts_run(redis)
        await change()
        assert await scripts_run(redis) - before == 2


async def test_a_limit_shows_what_the_code_says(service: Service) -> None:
    pay = await limit(service, "pay")
    expected = {"kind": "token_bucket", "rate": "1/h", "capacity": 1, "refill": 1, "every_s": 3600.0, "smooth": True, "key": None}
    expected["debt"] = "capped"
    assert (pay["name"], pay["policy"], pay["code"]) == ("pay", expected, expected)
    assert (pay["override"], pay["paused"], pay["reset"]) == (None, None, None)
    assert (pay["frozen_s"], pay["frozen_reason"]) == (0, None)
    assert (pay["waiting_buckets"], pay["waiting"], pay["waiting_is_estimate"], pay["buckets_not_shown"]) == (0, 0, False, 0)
    bucket = {"bucket": "pay", "tokens": 1, "waiting": 0, "waiting_is_estimate": False}
    assert pay["buckets"] == [bucket | {"next_token_s": 0, "frozen_s": 0, "frozen_reason": None, "provider": None, "needed": 0}]


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


async def test_a_reset_forgives_what_was_spent_and_says_when_and_why(service: Service, worker: Worker) -> None:
    (waiting,) = await line_up(service, 1)
    assert await states(service, [waiting]) == ["waiting"]

    changed = await act(service, "POST", "pay/reset", {"reason": "a wrong number"})

    assert (changed["reset"]["bucket"], changed["reset"]["reason"]) == ("pay", "a wrong number")
    assert datetime.now(UTC) - datetime.fromisoformat(changed["reset"]["at"]) < timedelta(seconds=10)
    assert await states(service, [waiting], wait=5) == ["succeeded"]
    assert (await act(service, "POST", "tenant/reset", {"bucket": "tenant/t7"}))["reset"]["bucket"] == "tenant/t7"
    assert (await act(service, "POST", "tenant/reset"))["reset"] | {"at": ""} == {"at": "", "bucket": "tenant", "reason": ""}


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
