"""What a worker does with the functions it is given: it runs them, with checked arguments, and keeps what they return."""

import asyncio
import threading
from typing import Any

import pytest
from pydantic import BaseModel

from runner import JobFailed, Runner
from tests.worker.conftest import Crew, MakeApp


class Order(BaseModel):
    id: str
    amount: int = 1


async def test_async_and_plain_functions_run(app: Runner, crew: Crew) -> None:
    @app.task
    async def double(number: int) -> int:
        return 2 * number

    @app.task
    def triple(number: int) -> int:
        return 3 * number

    await crew.start(app)

    assert await (await double.submit(7)).result(timeout=5) == 14
    assert await (await triple.submit(7)).result(timeout=5) == 21


async def test_plain_functions_run_side_by_side_in_threads_and_leave_the_loop_free(app: Runner, crew: Crew) -> None:
    meet = threading.Barrier(5)

    @app.task
    def meeting() -> bool:
        meet.wait(10)
        return threading.current_thread() is not threading.main_thread()

    await crew.start(app)
    jobs = await app.submit_many([meeting.prepare() for _ in range(5)])

    assert [await job.result(timeout=10) for job in jobs] == [True] * 5


async def test_a_handler_gets_its_arguments_as_the_types_of_its_signature(app: Runner, crew: Crew) -> None:
    @app.task
    async def price(order: Order, factor: float = 2.0) -> float:
        return order.amount * factor

    await crew.start(app)

    assert await (await price.submit(Order(id="o-1", amount=3))).result(timeout=5) == 6.0
    by_name = await app.client.submit("price", {"order": {"id": "o-2"}, "factor": 5})
    assert await by_name.result(timeout=5) == 5.0


async def test_a_result_is_json_of_the_annotated_type(app: Runner, crew: Crew) -> None:
    @app.task
    async def order() -> Order:
        return Order(id="o-1", amount=2)

    @app.task
    async def nothing() -> None:
        return None

    await crew.start(app)

    assert (await (await order.submit()).wait(timeout=5)).result == {"id": "o-1", "amount": 2}
    status = await (await nothing.submit()).wait(timeout=5)
    assert (status.state, status.result) == ("succeeded", None)


@pytest.mark.parametrize("result", ["no number", float("nan"), object()], ids=["another type", "nan", "no JSON"])
async def test_a_result_that_does_not_fit_is_a_dead_letter_and_no_retry(app: Runner, crew: Crew, result: object) -> None:
    attempts = []

    @app.task
    async def number() -> float:
        attempts.append(1)
        return result  # type: ignore[return-value] # the fault under test

    await crew.start(app)
    job = await number.submit()

    with pytest.raises(JobFailed, match="InvalidArguments: task 'number' returned"):
        await job.result(timeout=5)
    assert len(attempts) == 1


async def test_arguments_that_do_not_fit_at_the_run_are_a_dead_letter_naming_them(make_app: MakeApp, crew: Crew) -> None:
    producer, consumer = make_app(), make_app()

    @producer.task(name="charge")
    async def charge_of_old(amount: Any) -> None: ...

    @consumer.task
    async def charge(amount: int) -> int:
        return amount

    job = await charge_of_old.submit("much")
    await crew.start(consumer)

    status = await job.wait(timeout=5)
    assert status.state == "failed"
    assert status.error is not None
    assert status.error.type == "InvalidArguments"
    assert "amount: Input should be a valid integer" in status.error.message
    assert (status.attempt, status.failures) == (1, 0)


async def test_a_task_the_worker_does_not_have_is_a_dead_letter_naming_those_it_has(make_app: MakeApp, crew: Crew) -> None:
    producer, consumer = make_app(), make_app()

    @producer.task
    async def chrage() -> None: ...

    @consumer.task
    async def charge() -> None: ...

    @consumer.task
    async def refund() -> None: ...

    job = await chrage.submit()
    await crew.start(consumer)

    with pytest.raises(JobFailed, match=r"unknown_task: this worker has no task 'chrage' \(it has: charge, refund\)"):
        await job.result(timeout=5)


async def test_a_handler_can_submit_and_await_other_jobs(app: Runner, crew: Crew) -> None:
    @app.task
    async def leaf(number: int) -> int:
        return number + 1

    @app.task
    async def root() -> int:
        jobs = [await leaf.submit(number) for number in range(3)]
        return sum(await asyncio.gather(*(job.result(timeout=5) for job in jobs)))

    await crew.start(app)

    assert await (await root.submit()).result(timeout=10) == 6
