"""Handlers tell what their providers say is left: by a hook of httpx or by hand, from tasks, threads and child processes."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from runner import BucketStatus, Concurrency, ConfigurationError, Runner, TokenBucket, current_job, sync_limit
from tests.eventually import eventually
from tests.worker.conftest import Crew

PAY = TokenBucket("pay", rate="1/min", burst=100)
OTHER = TokenBucket("other", rate="1/min", burst=100)


def answer(left: str) -> httpx.MockTransport:
    return httpx.MockTransport(lambda _: httpx.Response(200, headers={"x-ratelimit-remaining": left}))


async def with_an_async_client(left: str) -> None:
    async with httpx.AsyncClient(transport=answer(left), event_hooks={"response": [sync_limit("pay")]}) as http:
        await http.get("http://provider/")


async def with_a_plain_client(left: str) -> None:
    with httpx.Client(transport=answer(left), event_hooks={"response": [sync_limit("pay")]}) as http:
        http.get("http://provider/")  # noqa: ASYNC212 - the client of a plain function, and no network


async def by_hand(left: str) -> None:
    assert current_job().observe("pay", httpx.Response(200, headers={"x-ratelimit-remaining": left})) == int(left)


async def bucket_of(app: Runner) -> BucketStatus:
    (limit,) = [limit for limit in await app.client.limits() if limit.name == "pay"]
    return limit.buckets[0]


@pytest.mark.parametrize("tell", [with_an_async_client, with_a_plain_client, by_hand])
async def test_what_is_told_lowers_the_bucket(app: Runner, crew: Crew, tell: Callable[[str], Any]) -> None:
    @app.task(limits=[PAY])
    async def pay(left: str) -> None:
        await tell(left)

    await crew.start(app)
    await (await pay.submit("70")).result(timeout=20)

    async def is_noted() -> bool:
        return (await bucket_of(app)).provider is not None

    await eventually(is_noted)
    await (await pay.submit("30")).result(timeout=20)

    async def is_lowered() -> bool:
        return (await bucket_of(app)).tokens == 20

    await eventually(is_lowered)
    told = (await bucket_of(app)).provider
    assert told is not None
    assert (told.left, told.had) == (30, 98)


async def test_odd_answers_and_other_limits_raise_nothing_in_a_handler(app: Runner, crew: Crew, caplog: pytest.LogCaptureFixture) -> None:
    @app.task(limits=[OTHER])
    async def other() -> None:
        await with_an_async_client("7")
        for odd in ("-1", "nan", "1" + "0" * 400, "soon"):
            assert current_job().observe("other", {"x-ratelimit-remaining": odd}) is None
        with pytest.raises(ConfigurationError, match="uses no limit 'pay'"):
            current_job().observe("pay", {"x-ratelimit-remaining": "7"})

    await crew.start(app)
    await (await other.submit()).result(timeout=20)

    assert caplog.text.count("is no number and counts as nothing") == 1


async def test_slots_are_refused_with_the_reason(app: Runner, crew: Crew) -> None:
    @app.task(limits=[Concurrency("slots", 3)])
    async def held() -> None:
        with pytest.raises(ConfigurationError, match="no provider's count lowers limit 'slots': a slot comes back when its job ends"):
            current_job().observe("slots", {"x-ratelimit-remaining": "7"})

    await crew.start(app)
    await (await held.submit()).result(timeout=20)


async def test_outside_of_a_job_the_hook_does_nothing() -> None:
    await with_an_async_client("7")


async def test_a_plain_function_tells_too(app: Runner, crew: Crew) -> None:
    @app.task(limits=[PAY])
    def pay() -> None:
        current_job().observe("pay", {"x-ratelimit-remaining": "7"})

    await crew.start(app)
    await (await pay.submit()).result(timeout=20)

    async def is_noted() -> bool:
        told = (await bucket_of(app)).provider
        return told is not None and told.left == 7

    await eventually(is_noted)


async def shown(app: Runner) -> tuple[int, int | None]:
    bucket = await bucket_of(app)
    return bucket.tokens, None if bucket.provider is None else bucket.provider.left


async def taken_and_told(app: Runner, tell: Callable[[str], Any], left: str) -> None:
    with await app.take("pay") as taken:
        if tell is by_hand:
            assert taken.observe(None, {"x-ratelimit-remaining": left}) == int(left)
        else:
            await tell(left)


@pytest.mark.parametrize("tell", [with_an_async_client, with_a_plain_client, by_hand])
async def test_code_without_a_job_lowers_the_bucket_too(app: Runner, tell: Callable[[str], Any]) -> None:
    app.limit(PAY)
    await taken_and_told(app, tell, "70")

    async def is_noted() -> bool:
        return await shown(app) == (99, 70)

    await eventually(is_noted)
    await taken_and_told(app, tell, "30")

    async def is_lowered() -> bool:
        return await shown(app) == (20, 30)

    await eventually(is_lowered)
    await with_an_async_client("1")  # outside of the block
    await taken_and_told(app, tell, "nothing") if tell is not by_hand else None
    assert await shown(app) in {(19, 30), (20, 30)}


async def test_what_was_taken_is_told_by_its_limit_and_in_a_job_the_inner_block_counts(app: Runner, crew: Crew) -> None:
    app.limit(PAY)

    @app.task(limits=[OTHER])
    async def other() -> None:
        with await app.take("pay", cost=5):
            await with_an_async_client("50")
        with pytest.raises(ConfigurationError, match=r"no tokens of limit 'other' were taken here \(taken were those of: pay\)"):
            (await app.take("pay")).observe("other", {})

    await crew.start(app)
    await (await other.submit()).result(timeout=20)

    async def is_noted() -> bool:
        return await shown(app) == (94, 50)

    await eventually(is_noted)


async def test_a_process_without_a_loop_tells_too(app: Runner) -> None:
    app.limit(PAY)

    def plain(left: str) -> None:
        with app.blocking.take("pay"), httpx.Client(transport=answer(left), event_hooks={"response": [sync_limit("pay")]}) as http:
            http.get("http://provider/")

    await asyncio.to_thread(plain, "70")

    async def is_noted() -> bool:
        return await shown(app) == (99, 70)

    await eventually(is_noted)
    await asyncio.to_thread(app.blocking.close)
