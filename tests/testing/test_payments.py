"""examples/payments in virtual time: whatever is lost on the way, an order is charged once."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from examples.local_server import serving
from examples.payments.provider import Provider
from examples.payments.tasks import jobs, pay, refused
from runner import JobFailed
from runner.errors import JobIdConflict
from runner.testing import TestQueue

MakeQueue = Callable[..., TestQueue]


@asynccontextmanager
async def charging(monkeypatch: pytest.MonkeyPatch, *, losing: int = 0, failing: int = 0) -> AsyncIterator[Provider]:
    provider = Provider(losing=losing, failing=failing)
    async with serving(provider) as url:
        monkeypatch.setenv("PAYMENTS_URL", url)
        yield provider


async def test_a_charge_whose_answer_was_lost_is_made_once(test_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    async with test_queue(jobs), charging(monkeypatch, losing=1) as provider:
        job = await pay("o-1", 1_500)

        assert (await job.result(timeout=60)).order == "o-1"
        assert [charge.order for charge in provider.charges] == ["o-1"]
        assert (provider.counts["lost"], provider.counts["replayed"]) == (1, 1)
        assert (await job.status()).failures == 1


async def test_a_worker_that_dies_between_charge_and_finish_charges_once(test_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    async with test_queue(jobs) as queue, charging(monkeypatch) as provider:
        job = await pay("o-1", 1_500)
        queue.lose(job, times=2)

        assert (await job.result(timeout=60)).id == "ch-1"
        assert [charge.order for charge in provider.charges] == ["o-1"]
        assert provider.counts["replayed"] == 2


async def test_who_clicks_twice_pays_once_and_other_cents_are_refused(test_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    async with test_queue(jobs) as queue, charging(monkeypatch) as provider:
        first, second = await pay("o-1", 1_500), await pay("o-1", 1_500)
        with pytest.raises(JobIdConflict):
            await pay("o-1", 9_900)
        await queue.run_until_idle()

        assert second.id == first.id
        assert [charge.cents for charge in provider.charges] == [1_500]


async def test_an_error_is_tried_again_and_a_declined_card_is_not(test_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    async with test_queue(jobs) as queue, charging(monkeypatch, failing=2) as provider:
        for n in range(6):
            await pay(f"o-{n}", 1_000)
        declined = await pay("o-rich", 200_000)
        with pytest.raises(JobFailed, match="card_declined"):
            await declined.result(timeout=60)
        await queue.run_until_idle()

        assert len(provider.charges) == 6
        assert provider.twice == []
        assert provider.counts["errors"] > 0
        assert (await refused("o-rich") or {})["order"] == "o-rich"
        assert await refused("o-1") is None


async def test_the_provider_is_asked_no_faster_than_it_permits(test_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    async with test_queue(jobs) as queue, charging(monkeypatch):
        for n in range(60):
            await pay(f"o-{n}", 1_000)
        await queue.run_until_idle()

        assert queue.starts[-1].at == pytest.approx((60 - 10) / 25, abs=0.001)
