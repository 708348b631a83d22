"""Endless jobs of high priority: lower ones get their least share, on the streams and within a line, and no more than that."""

from collections import Counter

import pytest

from runner import Runner, TokenBucket
from runner.jobs.job import Priority, PriorityName, StartedJob
from runner.worker.priority_shares import PriorityShares
from tests.eventually import eventually
from tests.worker.conftest import Crew, MakeApp

PLENTY = TokenBucket("plenty", rate="5000/s", burst=1)


async def order_of(app: Runner, crew: Crew, task_limits: list[TokenBucket]) -> list[str]:
    """The priorities of the starts, up to the last high one, of 900 high jobs submitted before 100 normal and 100 low ones."""
    order: list[str] = []

    @app.task(limits=task_limits)
    async def work(priority: str) -> None:
        order.append(priority)

    numbers: dict[PriorityName, int] = {"high": 900, "normal": 100, "low": 100}
    await app.submit_many([work.with_options(priority=name).prepare(name) for name, count in numbers.items() for _ in range(count)])
    await crew.start(app)
    await eventually(lambda: len(order) == 1100)
    return order[: len(order) - order[::-1].index("high")]


@pytest.mark.fault("F28")
@pytest.mark.parametrize("limits", [[], [PLENTY]], ids=["on the streams", "in a line"])
async def test_lower_priorities_get_their_least_share_of_an_endless_high_one(
    make_app: MakeApp, crew: Crew, limits: list[TokenBucket]
) -> None:
    app = make_app(least_share=0.04, concurrency=5)
    order = await order_of(app, crew, limits)

    for start in range(0, len(order) - 200, 50):
        counts = Counter(order[start : start + 200])
        assert counts["normal"] >= 0.04 * 200 - 3, (start, counts)
        assert counts["low"] >= 0.04 * 200 - 3, (start, counts)
    assert Counter(order)["low"] <= 0.04 * len(order) + 10


@pytest.mark.parametrize("limits", [[], [PLENTY]], ids=["on the streams", "in a line"])
async def test_without_a_least_share_the_order_is_strict(make_app: MakeApp, crew: Crew, limits: list[TokenBucket]) -> None:
    order = await order_of(make_app(least_share=0, concurrency=1), crew, limits)

    assert set(order) == {"high"}


def started(*priorities: Priority) -> list[StartedJob]:
    return [StartedJob(int(priority), b"1-0", "j", "t", b"{}", 1, 0) for priority in priorities]


def test_nothing_is_saved_up_for_a_priority_without_jobs() -> None:
    shares = PriorityShares(0.1)
    for _ in range(50):
        shares.started(started(*[Priority.high] * 10))

    assert (shares.owed(Priority.normal), shares.owed(Priority.low)) == (1, 1)


def test_what_was_owed_is_paid_by_what_was_started() -> None:
    shares = PriorityShares(0.1)
    shares.started(started(*[Priority.high] * 10))
    assert shares.owed(Priority.low) == 1
    shares.started(started(Priority.low, *[Priority.high] * 4))

    assert shares.owed(Priority.low) == 0
    assert shares.owed(Priority.normal) == 1
