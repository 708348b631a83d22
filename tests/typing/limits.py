"""What the type checkers of users see of limits, and of tokens without a job: never run, see `tasks`."""

from datetime import datetime
from typing import assert_type

from runner import (
    BucketStatus,
    Client,
    Concurrency,
    HttpClient,
    Limit,
    LimitStatus,
    Override,
    Pause,
    ProviderCount,
    QueuePace,
    QueueShare,
    Quota,
    RateLimited,
    Reset,
    Runner,
    SharedStatus,
    SlidingWindow,
    Taken,
    TakeRefused,
    TokenBucket,
    current_job,
    raise_rate_limited,
    sync_limit,
)

jobs = Runner("typing-limits", share=2)
assert_type(jobs.share, int)
kinds: list[Limit] = [
    TokenBucket("stripe", rate="10/s", burst=20),
    TokenBucket("sms", capacity=10, refill=2, every=10),
    SlidingWindow("search", 60, per=60),
    SlidingWindow("searches", 60, per=60, shared=True),
    Concurrency("reports", 3, key="{customer_id}"),
    TokenBucket("unknown", rate="40/s", adapt=True),
    TokenBucket("account", rate="40/s", shared=True),
    TokenBucket("account", rate="40/s", shared="acme"),
    TokenBucket("bounded", rate="40/s", adapt=("5/s", "40/s")),
    Quota("lookups", 10_000, per="month", tz="Europe/Berlin", on_exhausted="fail"),
]
TokenBucket("unknown", rate="40/s", adapt=5)  # type: ignore[arg-type]
Quota("lookups", 10, per="second")  # type: ignore[arg-type]
Concurrency("reports", 3, shared=True)  # type: ignore[call-arg]
SlidingWindow("search", 60)  # type: ignore[call-arg]
Concurrency("reports", "3")  # type: ignore[arg-type]


@jobs.task(limits=kinds, cost={"stripe": "amount"})
async def pay(amount: int) -> None:
    current_job().settle("stripe", 3)
    current_job().refund("sms")
    assert_type(current_job().observe("stripe", {"x-ratelimit-remaining": "7"}, counter="requests"), int | None)
    raise RateLimited("stripe", retry_after="7")


async def taken() -> None:
    declared = jobs.limit(kinds[0])
    assert_type(declared, Limit)
    with await jobs.take("stripe", cost=2, wait=5) as paid:
        assert_type(paid, Taken)
        assert_type(paid.observe("stripe", {"x-ratelimit-remaining": "7"}, counter="requests"), int | None)
    async with jobs.slot("reports", {"customer_id": "c-7"}, wait=None) as slot:
        assert_type(slot, None)
    jobs.blocking.take(kinds[0], {"tenant_id": "t7"})
    try:
        await jobs.take("stripe")
    except TakeRefused as refused:
        assert_type(refused.retry_after_s, float | None)
    hooks = {"response": [sync_limit("stripe", counter="requests"), raise_rate_limited("stripe")]}
    assert hooks
    await jobs.take("stripe", cost="2")  # type: ignore[arg-type]


async def changed(client: Client | HttpClient) -> None:
    control = client.control
    status = await control.override("stripe", rate="5/s", duration=3_600, reason="slower")
    assert_type(status, LimitStatus)
    assert_type(status.override, Override | None)
    assert_type(status.paused, Pause | None)
    assert_type(status.reset, Reset | None)
    assert_type(status.buckets, list[BucketStatus])
    assert_type(status.shared, SharedStatus | None)
    if status.shared is not None:
        assert_type(status.shared.queues[0], QueueShare)
    waiting = await client.status("o-17")
    assert_type(waiting.shared, QueuePace | None)
    for told in (
        await control.show("stripe"),
        await control.restore("stripe"),
        await control.pause("stripe", "why"),
        await control.resume("stripe"),
        await control.freeze("stripe", 60),
        await control.release("stripe"),
        await control.reset("stripe"),
    ):
        assert_type(told, LimitStatus)


def read(override: Override, pause: Pause, reset: Reset, bucket: BucketStatus, client: Client) -> None:
    assert_type(override.limit, Limit)
    assert_type(override.until, datetime | None)
    assert_type(pause.since, datetime)
    assert_type(reset.at, datetime)
    assert_type(bucket.next_token_s, float | None)
    assert_type(bucket.provider, ProviderCount | None)
    assert_type(client.blocking.control.show("stripe"), LimitStatus)
