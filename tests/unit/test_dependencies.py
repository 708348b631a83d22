"""What a declaration says of dependencies: which are refused, what they are called with, and how a direct call makes them."""

import functools
import inspect
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Any

import fastapi
import pytest

from runner import ConfigurationError, Depends, JobContext, Runner, current_job, injected
from runner.errors import InvalidArguments
from runner.jobs import NamedArguments, TaskSpec


def get_number() -> int:
    return 7


async def get_text(number: Annotated[int, Depends(get_number)]) -> str:
    return f"number {number}"


Number = Annotated[int, Depends(get_number)]
Text = Annotated[str, Depends(get_text)]


class Pool:
    def __init__(self, number: Number = injected, size: int = 3) -> None:
        self.made = (number, size)


@pytest.fixture
def jobs() -> Runner:
    return Runner("dependencies")


# Declarations


def cycle_a(b: "Annotated[int, Depends(cycle_b)]") -> int:
    return b


def cycle_b(a: Annotated[int, Depends(cycle_a)]) -> int:
    return a


def needs_argument(order: str) -> str:
    return order


def outer(inner: Annotated[str, Depends(needs_argument)]) -> str:
    return inner


def of_a_job(job: JobContext = injected) -> str:
    return job.id


@contextmanager
def made_by_contextlib() -> Iterator[int]:
    yield 1


@asynccontextmanager
async def made_by_contextlib_too() -> AsyncIterator[int]:
    yield 1


def by_position(number: Number = injected, /) -> int:
    return number


def unknown_name(x: "Nowhere" = None) -> None:  # type: ignore[name-defined] # noqa: F821
    raise AssertionError(x)


REFUSED: list[tuple[Any, str]] = [
    (Annotated[int, Depends(cycle_a)], "task 'pay' -> cycle_a -> cycle_b -> cycle_a: it depends on itself"),
    (
        Annotated[str, Depends(outer)],
        (
            "task 'pay' -> outer -> needs_argument: parameter 'order' is no dependency and has no default: a job's arguments go to its task"
            " alone; give it a default or Depends(...)"
        ),
    ),
    (Annotated[int, Depends(get_number), Depends(outer)], "parameter 'made' has Depends(get_number) and Depends(outer): leave one"),
    (
        Annotated[str, Depends(of_a_job, per="worker")],
        "'pay' -> of_a_job: parameter 'job' is of one job, and what is per worker serves all",
    ),
    (
        Annotated[str, Depends(get_text, per="worker")],
        "'pay' -> get_text -> get_number: it is made for each job, but what is per=\"worker\"",
    ),
    (
        Annotated[int, Depends(made_by_contextlib)],
        "'pay' -> made_by_contextlib: contextlib has made it a context manager: give Depends the",
    ),
    (Annotated[int, Depends(made_by_contextlib_too)], "made_by_contextlib_too: contextlib has made it a context manager"),
    (Annotated[int, Depends(by_position)], "'pay' -> by_position: parameter 'number' cannot be given by name: leave out the `/`"),
    (Annotated[None, Depends(unknown_name)], "'pay' -> unknown_name: its parameters are not known: name 'Nowhere' is not defined"),
    (
        Annotated[int, fastapi.Depends(get_number)],
        (
            "task 'pay': parameter 'made' has the Depends of FastAPI, which needs a request: write `from runner import Depends, injected` and"
            " `made: Annotated[..., Depends(get_number)] = injected`"
        ),
    ),
    (Annotated[int, fastapi.Security(get_number)], "parameter 'made' has the Security of FastAPI"),
    (int, "task 'pay': parameter 'made' is `injected`, and its annotation does not say by what: write Annotated[..., Depends(...)]"),
]


@pytest.mark.parametrize(("annotation", "message"), REFUSED)
def test_what_could_never_be_made_is_refused_with_the_chain(jobs: Runner, annotation: Any, message: str) -> None:
    async def pay(made=injected) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
        raise AssertionError(made)

    pay.__annotations__["made"] = annotation
    with pytest.raises(ConfigurationError) as refused:
        jobs.task(pay)
    assert message in str(refused.value)
    assert not jobs.tasks


def test_one_function_in_two_lives_is_refused(jobs: Runner) -> None:
    async def pay(a: Number = injected, b: Annotated[int, Depends(get_number, per="worker")] = injected) -> None:
        raise AssertionError((a, b))

    with pytest.raises(ConfigurationError, match="it is per job in one place and per worker in another"):
        jobs.task(pay)


@pytest.mark.parametrize(("make", "message"), [
    (lambda: Depends(3), "Depends(3): give a function"),  # type: ignore[call-overload]
    (lambda: Depends(get_number, per="process"), 'per is \'process\', and must be "job" or "worker"'),  # type: ignore[call-overload]
    (lambda: Runner("x", dependencies=[get_number]), "give Depends(...)"),
])  # fmt: skip
def test_a_marker_of_nothing_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        make()
    assert message in str(refused.value)


# Never an argument


def test_a_dependency_is_no_argument_whichever_door_a_call_takes(jobs: Runner) -> None:
    @jobs.task
    async def with_one(order: str, *, number: Number = injected, job: JobContext = injected, text: str = Depends(get_text)) -> str:
        return order + text + str(number) + job.id

    @jobs.task(name="with_one_less")
    async def without(order: str) -> str:
        return order

    one, other = with_one.definition, without.definition
    assert (one.spec.parameters, one.spec.form, one.calls.digest) == (other.spec.parameters, other.spec.form, other.calls.digest)
    assert with_one.prepare("o").args == without.prepare("o").args
    for given in ({"number": 1}, {"job": None}, {"text": "x"}):
        name = next(iter(given))
        message = f"task 'with_one': {name!r} is a dependency: leave it out, as the worker makes it"
        with pytest.raises(InvalidArguments) as refused:
            one.arguments.encode(("o",), given)
        assert str(refused.value) == message
        published = TaskSpec.from_json(json.loads(one.spec.to_json()))
        with pytest.raises(InvalidArguments) as by_name:
            NamedArguments("with_one", published.form, published.dependencies).encode({"order": "o", **given})
        assert str(by_name.value) == message


def test_a_dependency_in_the_place_of_an_argument_is_refused_by_its_name(jobs: Runner) -> None:
    @jobs.task
    async def pay(number: Number = injected, order: str = "o") -> str:
        return f"{number}{order}"

    assert pay.prepare(order="x").args == b'{"order":"x"}'
    with pytest.raises(InvalidArguments, match="'number' is a dependency"):
        pay.prepare("x")  # type: ignore[arg-type] # as code without a checker may


# A direct call


async def test_each_kind_is_made_once_and_ended_in_reverse(jobs: Runner) -> None:
    events: list[str] = []

    def plain() -> Iterator[str]:
        events.append("plain opens")
        yield "plain"
        events.append("plain closes")

    async def asynchronous(below: Annotated[str, Depends(plain)]) -> AsyncIterator[str]:
        events.append("async opens")
        yield f"async on {below}"
        events.append("async closes")

    class Called:
        def __call__(self, below: Annotated[str, Depends(plain)]) -> str:
            return f"object on {below}"

    def promises(number: Number) -> Awaitable[int]:
        return _later(number)

    @jobs.task
    async def pay(
        order: str,
        *,
        a: Annotated[str, Depends(asynchronous)] = injected,
        b: Annotated[str, Depends(Called())] = injected,
        c: Annotated[Pool, Depends(Pool)] = injected,
        d: Annotated[int, Depends(promises)] = injected,
        e: Annotated[int, Depends(functools.partial(added, number=3))] = injected,
        app: Runner = injected,
    ) -> list[object]:
        events.append("runs")
        return [order, a, b, c.made, d, e, app is jobs]

    assert await pay("o") == ["o", "async on plain", "object on plain", (7, 3), 8, 8, True]
    assert events == ["plain opens", "async opens", "runs", "async closes", "plain closes"]


def added(number: Number, more: int = 5) -> int:
    return number + more


async def _later(number: int) -> int:
    return number + 1


async def test_a_caller_may_give_what_would_be_made(jobs: Runner) -> None:
    made: list[str] = []

    def below() -> str:
        made.append("below")
        return "below"

    def get(text: Annotated[str, Depends(below)]) -> str:
        return text

    @jobs.task
    async def pay(*, first: Annotated[str, Depends(get)] = injected, number: Number = injected) -> tuple[str, int]:
        return first, number

    assert await pay(first="given") == ("given", 7)
    assert not made
    assert await pay() == ("below", 7)


def test_a_plain_call_makes_what_needs_no_loop(jobs: Runner) -> None:
    @jobs.task
    def plain(*, number: Number = injected, pool: Annotated[Pool, Depends(Pool)] = injected) -> tuple[int, int]:
        return number, pool.made[1]

    @jobs.task
    def needs_loop(*, text: Text = injected) -> str:
        return text

    assert plain() == (7, 3)
    assert needs_loop(text="given") == "given"
    with pytest.raises(ConfigurationError, match="its dependency get_text is async, and a plain call has no event loop for it"):
        needs_loop()


async def test_without_a_job_there_is_no_context(jobs: Runner) -> None:
    @jobs.task
    async def asks(job: JobContext = injected) -> str:
        return job.id

    @jobs.task
    async def looks(number: Number = injected) -> str:
        return current_job().id + str(number)

    for task in (asks, looks):
        with pytest.raises(ConfigurationError, match="no job is running here"):
            await task()


def test_a_task_shows_callers_what_they_may_give(jobs: Runner) -> None:
    @jobs.task
    async def pay(order: str, *, http: Number = injected) -> str:
        return f"{order}{http}"

    assert str(inspect.signature(pay)) == "(order: str) -> str"


# Overrides


async def test_overrides_replace_a_function_wherever_it_is_needed(jobs: Runner) -> None:
    @jobs.task
    async def pay(*, text: Text = injected) -> str:
        return text

    def other(unused: Annotated[Pool, Depends(Pool)]) -> int:
        return 8 + unused.made[1]

    with jobs.overrides({get_number: lambda: 1}):
        assert await pay() == "number 1"
        with jobs.overrides({get_text: lambda: "text"}):
            assert await pay() == "text"
        assert await pay() == "number 1"
    assert await pay() == "number 7"
    with pytest.raises(ConfigurationError, match="get_text -> get_number -> Pool -> get_number: it depends on itself"):
        jobs.overrides({get_number: other}).__enter__()
    assert await pay() == "number 7"


@pytest.mark.parametrize(("overrides", "message"), [
    ({get_number: 3}, "get_number is overridden by 3: give a function that returns it, like lambda: fake"),
    ({of_a_job: get_number}, "no task of this app depends on of_a_job: override the function given to Depends"),
])  # fmt: skip
def test_overrides_that_would_do_nothing_are_refused(jobs: Runner, overrides: Any, message: str) -> None:
    @jobs.task
    async def pay(*, text: Text = injected) -> str:
        return text

    with pytest.raises(ConfigurationError) as refused, jobs.overrides(overrides):
        pass
    assert message in str(refused.value)


async def test_dependencies_of_the_app_run_for_every_job() -> None:
    events: list[str] = []

    def connections() -> Iterator[None]:
        events.append("checked")
        yield
        events.append("closed")

    jobs = Runner("dependencies", dependencies=[Depends(connections)])

    @jobs.task
    async def pay(order: str) -> str:
        events.append("runs")
        return order

    assert await pay("o") == "o"
    assert events == ["checked", "runs", "closed"]
    assert pay.definition.spec.dependencies == ()
