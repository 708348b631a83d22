"""The graph of a function's dependencies, made a flat list of steps when its task is declared. Pure: it calls none of them."""

import contextlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from functools import partial
from typing import Any, NamedTuple, get_origin, get_type_hints

from runner.errors import ConfigurationError
from runner.foreign import text_of
from runner.jobs.dependencies import Dependency, dependency_of, is_injected, name_of_function, unaliased
from runner.jobs.handlers import is_coroutine_function, says_it_is_awaited

JOB, RUNNER = 0, 1
"""Where the values of a call begin: the job's context, and the app."""
FIRST_STEP = 2

_decorators: tuple[Any, ...] = (contextlib.contextmanager, contextlib.asynccontextmanager)
_BY_CONTEXTLIB = {decorate(lambda: None).__code__ for decorate in _decorators}

Overrides = Mapping[Callable[..., Any], Callable[..., Any]]
"""Which function is called in the place of which."""


class Kind(IntEnum):
    """How a step gets its value."""

    plain = 0
    asynchronous = 1
    generator = 2
    async_generator = 3

    @property
    def needs_loop(self) -> bool:
        return self in (Kind.asynchronous, Kind.async_generator)


class Step(NamedTuple):
    """One call: `needs` are its arguments by name and where their values are; its own value goes to `place`."""

    kind: Kind
    function: Callable[..., Any]
    needs: tuple[tuple[str, int], ...]
    place: int
    per_worker: bool
    name: str


class Graph:
    """The steps that dependencies of one function take, each function once, in the order in which they are needed.

    whose: as messages begin, "task 'pay'". ambient: types whose value is there, with its place. overridden: the functions of
    `overrides` that were asked for.
    """

    def __init__(self, whose: str, ambient: Mapping[Any, int], overrides: Overrides) -> None:
        self._whose = whose
        self._ambient = ambient
        self._overrides = overrides
        self._places: dict[Callable[..., Any], int] = {}
        self.steps: list[Step] = []
        self.overridden: set[Callable[..., Any]] = set()

    def place_of_parameter(self, parameter: inspect.Parameter, hint: Any, chain: Sequence[Dependency] = ()) -> int | None:
        """Where the value of a parameter will be; None if it is no dependency. Raises `ConfigurationError` naming the chain."""
        whose = self._chain(chain)
        dependency = dependency_of(whose, parameter, hint)
        if dependency is not None:
            return self.place_of(dependency, chain)
        hint = unaliased(hint)
        place = self._ambient.get(get_origin(hint) or hint) if isinstance(get_origin(hint) or hint, type) else None
        if place is None and is_injected(parameter.default):
            raise ConfigurationError(
                f"{whose}: parameter {parameter.name!r} is `injected`, and its annotation does not say by what:"
                " write Annotated[..., Depends(...)], JobContext or Runner"
            )
        if place == JOB and any(dependency.per == "worker" for dependency in chain):
            raise ConfigurationError(f"{whose}: parameter {parameter.name!r} is of one job, and what is per worker serves all of them")
        return place

    def place_of(self, dependency: Dependency, chain: Sequence[Dependency] = ()) -> int:
        """Where the value of a dependency will be, which takes steps unless it was needed before. Raises `ConfigurationError`."""
        below = (*chain, dependency)
        if any(above.function == dependency.function for above in chain):
            raise ConfigurationError(f"{self._chain(below)}: it depends on itself")
        if dependency.per == "job" and any(above.per == "worker" for above in chain):
            raise ConfigurationError(f'{self._chain(below)}: it is made for each job, but what is per="worker" needs it: make it so too')
        function = dependency.function
        if function in self._overrides:
            self.overridden.add(function)
            function = self._overrides[function]
        known = self._places.get(function)
        if known is not None:
            if self.steps[known - FIRST_STEP].per_worker != (dependency.per == "worker"):
                raise ConfigurationError(f"{self._chain(below)}: it is per job in one place and per worker in another; choose one")
            return known
        kind = self._kind_of(function, below)
        needs = tuple(self._needs_of(function, below))
        place = self._places[function] = FIRST_STEP + len(self.steps)
        self.steps.append(Step(kind, function, needs, place, dependency.per == "worker", name_of_function(function)))
        return place

    def _needs_of(self, function: Callable[..., Any], chain: Sequence[Dependency]) -> list[tuple[str, int]]:
        needs = []
        parameters, hints = self._parameters_of(function, chain)
        for parameter in parameters:
            place = self.place_of_parameter(parameter, hints.get(parameter.name, Any), chain)
            if place is not None and parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
                raise ConfigurationError(f"{self._chain(chain)}: parameter {parameter.name!r} cannot be given by name: leave out the `/`")
            if place is not None:
                needs.append((parameter.name, place))
            elif parameter.default is inspect.Parameter.empty:
                raise ConfigurationError(
                    f"{self._chain(chain)}: parameter {parameter.name!r} is no dependency and has no default: a job's arguments go to its"
                    " task alone; give it a default or Depends(...)"
                )
        return needs

    def _parameters_of(self, function: Callable[..., Any], chain: Sequence[Dependency]) -> tuple[list[inspect.Parameter], dict[str, Any]]:
        source, bound = _source_of(function)
        if inspect.isclass(source):
            source = source.__init__
        elif not inspect.isroutine(source):
            source = type(source).__call__
        try:
            signature = inspect.signature(function)
            hints = get_type_hints(source, include_extras=True) if hasattr(source, "__annotations__") else {}
        except (ValueError, NameError, TypeError) as error:
            raise ConfigurationError(f"{self._chain(chain)}: its parameters are not known: {text_of(error)}") from error
        many = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        return [p for p in signature.parameters.values() if p.kind not in many and p.name not in bound], hints

    def _kind_of(self, function: Any, chain: Sequence[Dependency]) -> Kind:
        if getattr(function, "__code__", None) in _BY_CONTEXTLIB:
            raise ConfigurationError(f"{self._chain(chain)}: contextlib has made it a context manager: give Depends the generator itself")
        source, _ = _source_of(function)
        if inspect.isclass(source):
            return Kind.plain
        call = source if inspect.isroutine(source) else type(source).__call__
        if inspect.isasyncgenfunction(call):
            return Kind.async_generator
        if inspect.isgeneratorfunction(call):
            return Kind.generator
        return Kind.asynchronous if is_coroutine_function(call) or says_it_is_awaited(call) else Kind.plain

    def _chain(self, chain: Sequence[Dependency]) -> str:
        return " -> ".join((self._whose, *(name_of_function(dependency.function) for dependency in chain)))


def _source_of(function: Any) -> tuple[Any, set[str]]:
    """What a partial or a wrapped function calls in the end, and the names of what partials give it."""
    bound = set[str]()
    function = inspect.unwrap(function)
    while isinstance(function, partial):
        bound |= function.keywords.keys()
        function = inspect.unwrap(function.func)
    return function, bound
