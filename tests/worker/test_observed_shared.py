"""What providers say of a limit that several queues share is told to its home: from jobs, and from code without a job."""

from typing import Any

import httpx

from runner import Client, Runner, TokenBucket, sync_limit
from tests.eventually import eventually
from tests.topologies import queue_name
from tests.worker.conftest import Crew


def answer(left: str) -> httpx.MockTransport:
    return httpx.MockTransport(lambda _: httpx.Response(200, headers={"x-ratelimit-remaining": left}))


async def call(left: str) -> None:
    async with httpx.AsyncClient(transport=answer(left), event_hooks={"response": [sync_limit("account")]}) as http:
        await http.get("http://provider/")


async def at_home(client: Client) -> tuple[int, int | None]:
    """Tokens there, with those that are out, and what the provider has said last."""
    status = await client.control.show("account")
    assert status.shared is not None
    said = next((bucket.provider for bucket in status.buckets if bucket.bucket == "account"), None)
    return status.shared.tokens + status.shared.out, None if said is None else said.left


async def test_what_is_told_to_a_job_or_to_a_taker_lowers_the_bucket_at_home(app: Runner, crew: Crew) -> None:
    account = TokenBucket("account", rate="1/min", burst=100, shared=queue_name())

    @app.task(limits=[account])
    async def pay(left: str) -> None:
        await call(left)

    await crew.start(app)

    async def told_until(left: str, most: int, say: Any) -> None:
        async def is_lowered() -> bool:
            await say(left)
            tokens, said = await at_home(app.client)
            return said == int(left) and tokens <= most

        await eventually(is_lowered)

    async def by_job(left: str) -> None:
        await (await pay.submit(left)).result(timeout=20)

    async def by_taker(left: str) -> None:
        with await app.take("account", wait=20):
            await call(left)

    await told_until("70", 70, by_job)
    await told_until("50", 50, by_taker)
    assert (await at_home(app.client))[0] >= 20
