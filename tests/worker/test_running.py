"""What a worker does with the functions it is given: it runs them, with checked arguments, and keeps what they return."""

import asyncio
import functools
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pydantic import BaseModel

from runner import JobFailed, Runner, current_job
from tests.worker.conftest import Crew, MakeApp, state_of


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

    with pytest.raises(JobFailed, match="InvalidResult: task 'number' returned"):
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

    await state_of(consumer, job.id, "waiting")
    assert (await job.status()).reason == "no worker"


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


class Charges:
    currency = "EUR"

    async def charge(self, amount: int) -> str:
        return f"{amount} {self.currency}"

    def count(self, amount: int) -> int:
        return amount + 1

    async def __call__(self, amount: int) -> str:
        return await self.charge(amount)


def plainly_wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def run_by_itself(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return asyncio.run(function(*args, **kwargs))

    return wrapper


async def attempt_and_amount(amount: int, currency: str = "EUR") -> str:
    await asyncio.sleep(0)
    return f"{current_job().attempt} {amount} {currency}"


def promised(amount: int) -> Awaitable[str]:
    return asyncio.ensure_future(attempt_and_amount(amount))


@pytest.mark.parametrize(
    ("function", "result"),
    [
        (Charges().charge, "3 EUR"),
        (Charges().count, 4),
        (Charges(), "3 EUR"),
        (functools.partial(attempt_and_amount, currency="USD"), "1 3 USD"),
        (functools.partial(Charges().count), 4),
        (plainly_wrapped(attempt_and_amount), "1 3 EUR"),
        (plainly_wrapped(Charges().count), 4),
        (run_by_itself(attempt_and_amount), "1 3 EUR"),
        (promised, "1 3 EUR"),
    ],
    ids=["method", "plain method", "object", "partial", "partial of a method", "wrapped", "wrapped method", "own loop", "returns a future"],
)
async def test_a_callable_that_is_no_function_runs_as_what_it_returns(app: Runner, crew: Crew, function: Any, result: object) -> None:
    task = app.task(name="work")(function)
    await crew.start(app)

    assert await (await task.submit(3)).result(timeout=5) == result


async def test_what_a_plain_wrapper_returns_is_held_to_the_time_out_and_stopped(app: Runner, crew: Crew) -> None:
    stopped = asyncio.Event()

    async def endless() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()

    task = app.task(timeout=0.05, retries=0)(plainly_wrapped(endless))
    await crew.start(app)

    with pytest.raises(JobFailed, match="took longer than its time-out"):
        await (await task.submit()).result(timeout=5)
    assert stopped.is_set()


async def test_a_coroutine_that_comes_after_the_time_out_is_not_run(app: Runner, crew: Crew) -> None:
    ran, late = [], threading.Event()

    async def late_one() -> None:
        ran.append(1)

    @app.task(timeout=0.05, retries=0)
    def slow() -> Any:
        late.wait(10)
        return late_one()

    await crew.start(app)
    job = await slow.submit()
    await asyncio.sleep(0.2)
    late.set()

    with pytest.raises(JobFailed, match="took longer than its time-out"):
        await job.result(timeout=5)
    assert ran == []
