"""Injection: the dependencies of one function, and a call with them. Who calls brings the loop, the threads, and what is per worker."""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn, Protocol

from runner.errors import ConfigurationError
from runner.jobs.declared import declared
from runner.jobs.dependency_graph import FIRST_STEP, JOB, RUNNER, Graph, Kind, Overrides, Step
from runner.jobs.handlers import Handler
from runner.jobs.surroundings import NONE, Surroundings
from runner.jobs.unwinding import Open, aunwind, begin, not_begun, unwind

_PLAIN, _GENERATOR, _ASYNC_GENERATOR = Kind.plain, Kind.generator, Kind.async_generator


class Held(Protocol):
    """The values that are per worker. `ready` has those that are made, by their functions; `make` makes one, once, whoever asks meanwhile."""

    @property
    def ready(self) -> Mapping[Callable[..., Any], Any]: ...

    async def make(self, step: Step, arguments: dict[str, Any]) -> Any: ...


class Plan(NamedTuple):
    """`outer` are the steps on the loop, `inner` those around a plain function in its thread, `size` how many values a call has.

    `given` are the function's own parameters that are dependencies, with the places of their values.
    """

    outer: tuple[Step, ...]
    inner: tuple[Step, ...]
    given: tuple[tuple[str, int], ...]
    size: int

    def without(self, names: frozenset[str]) -> "Plan":
        """The plan of a call that gives some of these itself: what they alone need is not made."""
        given = tuple((name, place) for name, place in self.given if name not in names)
        asked_for = {place for name, place in self.given if name in names}
        own = self._needed_for({place for _, place in given} | (self._ends() - asked_for))
        return self._replace(
            outer=tuple(step for step in self.outer if step.place in own),
            inner=tuple(step for step in self.inner if step.place in own),
            given=given,
        )

    def _ends(self) -> set[int]:
        """Of the steps whose value no other step needs."""
        steps = (*self.outer, *self.inner)
        return {step.place for step in steps} - {place for step in steps for _, place in step.needs}

    def _needed_for(self, places: set[int]) -> set[int]:
        needed = set(places)
        for step in sorted((*self.outer, *self.inner), key=lambda step: -step.place):
            if step.place in needed:
                needed.update(place for _, place in step.needs)
        return needed

    @property
    def uses_job(self) -> bool:
        """Whether a value is the context of a job."""
        needs = (self.given, *(step.needs for step in (*self.outer, *self.inner)))
        return any(place == JOB for pairs in needs for _, place in pairs)

    @property
    def all_inner(self) -> "Plan":
        """The same without a loop, if it has no step that needs one."""
        return self._replace(outer=(), inner=tuple(sorted((*self.outer, *self.inner), key=lambda step: step.place)))

    @property
    def first_async(self) -> Step | None:
        """A step that needs an event loop, if there is one."""
        return next((step for step in self.outer if step.kind.needs_loop), None)


class Injection:
    """Of one task. Raises `ConfigurationError` for dependencies that could never be made, naming the chain that leads there."""

    def __init__(self, handler: Handler, surroundings: Surroundings) -> None:
        self._whose = f"task {handler.task!r}"
        self._is_async = handler.is_async
        self._surroundings = surroundings
        with declared(f"{self._whose}: its annotations"):
            hints = handler.hints()
        self._parameters = [(parameter, hints.get(parameter.name, Any)) for parameter in handler.parameters()]
        self._plan, _ = self.planned(NONE)
        self._current, self._planned_for = self._plan, NONE
        self.names = frozenset(name for name, _ in self._plan.given)
        """The parameters that no job gives."""

    @property
    def is_empty(self) -> bool:
        """Whether a call is the function alone."""
        return self._plan.size == 0

    @property
    def plan(self) -> Plan:
        """By the overrides in force."""
        overrides = self._surroundings.overrides
        if overrides is not self._planned_for:
            self._current, self._planned_for = self.planned(overrides)[0] if overrides else self._plan, overrides
        return self._current

    def values(self, plan: Plan, context: Any) -> list[Any]:
        """Where a call by this plan keeps its values."""
        values: list[Any] = [None] * plan.size
        values[JOB], values[RUNNER] = context, self._surroundings.app
        return values

    def planned(self, overrides: Overrides) -> tuple[Plan, set[Callable[..., Any]]]:
        """The plan, and which functions were replaced. Raises `ConfigurationError`."""
        graph = Graph(self._whose, self._surroundings.ambient, overrides)
        for dependency in self._surroundings.dependencies:
            graph.place_of(dependency)
        places = [(parameter.name, graph.place_of_parameter(parameter, hint)) for parameter, hint in self._parameters]
        given = tuple((name, place) for name, place in places if place is not None)
        steps = tuple(graph.steps)
        inner: tuple[Step, ...] = () if self._is_async else _in_thread(steps)
        outer = tuple(step for step in steps if step not in inner)
        size = 0 if not (steps or given) else FIRST_STEP + len(steps)
        return Plan(outer, inner, given, size), graph.overridden

    def signature(self, function: Callable[..., Any]) -> inspect.Signature:
        """What a caller may give."""
        signature = inspect.signature(function)
        return signature.replace(parameters=[p for p in signature.parameters.values() if p.name not in self.names])


def _in_thread(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Those of a plain task that run in its thread: all but what the loop has to do, and what that needs."""
    on_loop: set[int] = set()
    for step in reversed(steps):
        if step.place in on_loop or step.kind.needs_loop or step.per_worker:
            on_loop.add(step.place)
            on_loop.update(place for _, place in step.needs)
    return tuple(step for step in steps if step.place not in on_loop)


async def call_with(
    plan: Plan, values: list[Any], held: Held | None, function: Callable[..., Awaitable[Any]], arguments: dict[str, Any], job: str
) -> Any:
    """Make what the outer steps make, call, and unwind. `values`: the job's context and the app, then a place for each step.

    Without `held` what is per worker is made for this call.
    """
    opened: Open = []
    failed: BaseException | None = None
    try:
        for kind, made_by, needs, place, per_worker, name in plan.outer:
            if per_worker and held is not None:
                ready = held.ready
                if made_by not in ready:
                    needed = {name: values[at] for name, at in needs}
                    await held.make(Step(kind, made_by, needs, place, per_worker, name), needed)
                values[place] = ready[made_by]
                continue
            made = made_by(**{name: values[at] for name, at in needs}) if needs else made_by()
            if kind is _ASYNC_GENERATOR:
                try:
                    values[place] = await made.__anext__()
                except StopAsyncIteration:
                    raise not_begun(name) from None
                opened.append((name, made, True))
            elif kind is _GENERATOR:
                values[place] = begin(name, made)
                opened.append((name, made, False))
            else:
                values[place] = made if kind is _PLAIN else await made
        if not plan.inner:
            for name, place in plan.given:
                arguments[name] = values[place]
        result = await function(**arguments)
    except BaseException as error:
        if not opened:
            raise
        failed = error
    # Not in the `except`: what is raised in here would show the call's error as its context, instead of the one before.
    try:
        left = await aunwind(opened, failed, job) if opened else None
        if left is not None:
            raise left
        return result
    finally:
        failed = left = None  # they refer to this frame, and it would to them


def call_in_thread_with(plan: Plan, values: list[Any], function: Callable[..., Any], arguments: dict[str, Any], job: str) -> Any:
    """The same for the inner steps, without a loop. What is per worker was made before, or is made for this call."""
    opened: Open = []
    failed: BaseException | None = None
    try:
        for step in plan.inner:
            value = step.function(**{name: values[place] for name, place in step.needs})
            if step.kind is Kind.generator:
                generator, value = value, begin(step.name, value)
                opened.append((step.name, generator, False))
            values[step.place] = value
        for name, place in plan.given:
            arguments[name] = values[place]
        result = function(**arguments)
        if opened and inspect.isawaitable(result):
            _refuse_late(result, function)
    except BaseException as error:
        if not opened:
            raise
        failed = error
    # Not in the `except`: what is raised in here would show the call's error as its context, instead of the one before.
    try:
        left = unwind(opened, failed, job) if opened else None
        if left is not None:
            raise left
        return result
    finally:
        failed = left = None  # they refer to this frame, and it would to them


def _refuse_late(result: Any, function: Callable[..., Any]) -> NoReturn:
    if inspect.iscoroutine(result):
        result.close()
    raise ConfigurationError(
        f"{function!r} is plain and returns something to await, after its dependencies would be closed: make it `async def`"
    )
