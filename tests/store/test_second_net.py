"""A time beyond a year, which no caller may ask for, is cut to a year by the scripts: Redis would refuse it halfway."""

import json

import pytest

from runner.jobs.job import Ending, Outcome
from runner.limits import Concurrency, TokenBucket
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, job, jobs, publish
from tests.store.inside import scores, states

YEAR_US = 366 * 86_400 * 1_000_000
BEYOND = [YEAR_US + 1, 2**63, 10**30]


@pytest.mark.parametrize("beyond_us", BEYOND)
async def test_a_delay_and_a_wait_are_cut(store: JobStore, clock: Clock, beyond_us: int) -> None:
    late, patient = job("late")._replace(delay_us=beyond_us), job("patient", needs=["x"])._replace(max_wait_us=beyond_us)
    await publish(store, TokenBucket("x", rate="1/s", burst=1))

    assert await store.submit([late, patient]) == ["scheduled", "queued"]

    assert (await scores(store, store.keys.scheduled))["late"] == clock.now_us + YEAR_US
    assert int(await store.redis.hget(store.keys.job("patient"), "expires") or 0) == clock.now_us + YEAR_US


@pytest.mark.parametrize("beyond_us", BEYOND)
async def test_a_freeze_and_an_override_are_cut(store: JobStore, clock: Clock, beyond_us: int) -> None:
    limit = TokenBucket("x", rate="1/s", burst=1)
    await publish(store, limit, TokenBucket("y", rate="1/s", burst=1, key="{id}"))

    assert await store.freeze("x", beyond_us, "hand") == YEAR_US
    assert await store.freeze("y", beyond_us, "hand") == YEAR_US
    await store.override("x", limit.with_numbers(burst=2).to_json(), beyond_us, "hand")

    entry = json.loads(await store.redis.hget(store.keys.limits, "x") or b"{}")
    assert int(entry["override"]["until_us"]) == clock.now_us + YEAR_US


@pytest.mark.parametrize("beyond_us", BEYOND)
async def test_a_retry_a_freeze_of_a_provider_and_a_slot_are_cut(store: JobStore, clock: Clock, beyond_us: int) -> None:
    await publish(store, TokenBucket("x", rate="1/s", burst=5), Concurrency("slots", 1))
    await store.submit(jobs(2, needs=["x"]))
    one, other = await claim(store)

    outcomes = [Outcome(one, Ending.retry, b"{}", beyond_us, 60_000), Outcome(other, Ending.throttled, b"{}", beyond_us, 60_000, "", "x")]
    answers = await store.finish("w", outcomes)

    assert answers == ["accepted", "accepted"]
    assert answers.throttled[0].wait_us == round(store.settings.longest_freeze_s * 1_000_000)
    assert (await scores(store, store.keys.scheduled))["j0"] == clock.now_us + YEAR_US
    assert await states(store, ["j0", "j1"]) == ["scheduled", "waiting"]
    taken = await store.take("take:1", "slots=1!", "1|slots", lapse_us=beyond_us)
    assert taken.state == "taken"
    assert await store.hold("take:1", "slots=1!", beyond_us) == 1
