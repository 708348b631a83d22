"""examples/webhooks_out in virtual time, with the receivers on the same clock."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any

from examples.local_server import serving
from examples.webhooks_out.a_day import tried
from examples.webhooks_out.receivers import SECRET, Receivers
from examples.webhooks_out.tasks import A_DAY_S, customers, get_endpoints, jobs, publish
from runner.testing import TestQueue

MakeQueue = Callable[..., TestQueue]


@asynccontextmanager
async def receiving(queue: TestQueue, secret: str = SECRET, **options: Any) -> AsyncIterator[Receivers]:
    receivers = Receivers(clock=lambda: queue.seconds, **options)
    async with serving(receivers) as url:
        endpoints = {customer: replace(one, secret=secret) for customer, one in receivers.endpoints(url).items()}
        with jobs.overrides({get_endpoints: lambda: endpoints}):
            yield receivers


async def test_a_delivery_is_tried_again_by_a_plan_that_spans_a_day() -> None:
    status, starts = await tried(down_s=20 * 3600)

    assert status.state == "succeeded"
    pauses_s = [later - earlier for earlier, later in pairwise(starts)]
    for pause_s, most_s in zip(pauses_s, [5, 20, 80, 320, 1280, 5120, *[4 * 3600] * 9], strict=False):
        assert 0.8 * most_s <= pause_s <= most_s
    assert 20 * 3600 <= starts[-1] < 24 * 3600


async def test_after_a_day_it_is_given_up() -> None:
    status, starts = await tried(down_s=2 * A_DAY_S)

    assert status.state == "failed"
    assert status.error is not None
    assert status.error.type == "DeadlineExceeded"
    assert "503" in status.error.message
    assert A_DAY_S - 4 * 3600 < starts[-1] < A_DAY_S


async def test_one_who_is_slow_holds_up_nobody_else(test_queue: MakeQueue) -> None:
    async with test_queue(jobs) as queue, receiving(queue, slow_s=0.5) as receivers:
        slow = [await publish(f"evt-{n}", "slow", "order.paid", {}) for n in range(30)]
        good = [await publish(f"evt-{n}", "good", "order.paid", {}) for n in range(10)]
        async for _ in jobs.as_completed(good):
            pass
        assert receivers.of["good"].taken.total() == 10
        assert receivers.of["slow"].taken.total() < 20  # which would take 30 times half a second, three at a time
        async for _ in jobs.as_completed(slow):
            pass
        assert receivers.of["slow"].most_at_once == customers.capacity
        assert set(receivers.of["slow"].taken.values()) == {1}


async def test_who_says_wait_is_waited_for_and_no_retry_is_used(test_queue: MakeQueue) -> None:
    async with test_queue(jobs) as queue, receiving(queue, a_second=4) as receivers:
        for n in range(10):
            await publish(f"evt-{n}", "strict", "order.paid", {})
        await queue.run_until_idle()

        assert receivers.of["strict"].taken.total() == 10
        assert sum(job.throttled for job in queue.jobs()) > 0
        assert sum(job.failures for job in queue.jobs()) == 0


async def test_who_is_gone_is_tried_once(test_queue: MakeQueue) -> None:
    async with test_queue(jobs) as queue, receiving(queue) as receivers:
        await publish("evt-1", "gone", "order.paid", {})
        await publish("evt-1", "unknown", "order.paid", {})
        await queue.run_until_idle()

        assert [job.state for job in queue.jobs()] == ["failed", "failed"]
        assert len(receivers.of["gone"].attempts) == 1


async def test_a_message_has_one_id_and_one_signature_that_fits(test_queue: MakeQueue) -> None:
    async with test_queue(jobs) as queue, receiving(queue, down_s=60) as receivers:
        first, again = await publish("evt-1", "down", "order.paid", {}), await publish("evt-1", "down", "order.paid", {})
        await queue.run_until_idle()
        assert again.id == first.id
        assert len(receivers.of["down"].attempts) > 1
        assert receivers.of["down"].taken == {"evt-1-down": 1}
        assert receivers.forged == 0


async def test_a_message_that_another_has_signed_is_refused(test_queue: MakeQueue) -> None:
    async with test_queue(jobs) as queue, receiving(queue, secret="another") as receivers:
        await publish("evt-1", "good", "order.paid", {})
        await queue.advance(1)

        assert receivers.forged == 1
        assert not receivers.of["good"].taken
