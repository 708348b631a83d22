"""Handlers: what can be a task besides a function, as it is run: a method, a partial, a wrapped function, an object with `__call__`."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterator
from functools import partial
from typing import Any, NamedTuple, Never, NoReturn, get_args, get_origin, get_type_hints

from pydantic.fields import FieldInfo

from runner.errors import ConfigurationError

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_AWAITED: tuple[Any, ...] = (Awaitable, Coroutine, asyncio.Future, asyncio.Task)
_ONE_RESULT = "a job has one result: return a list, or submit a job for each item"
_STREAMED: tuple[Any, ...] = (AsyncIterator, AsyncIterable, AsyncGenerator, Iterator, Generator)


class Handler(NamedTuple):
    """The callable of a task, as it is run.

    `is_async`: a call returns what the loop awaits. `source`: the function that has its annotations and its docstring.
    `bound`: the names of arguments that a partial has given, which are no arguments of the job.
    """

    task: str
    function: Callable[..., Any]
    source: Callable[..., Any]
    is_async: bool
    bound: frozenset[str]

    @property
    def description(self) -> str:
        """The first line of its docstring."""
        return inspect.cleandoc(self.source.__doc__ or "").partition("\n")[0]

    def parameters(self) -> list[inspect.Parameter]:
        """Those that a job gives. Raises `ConfigurationError` for one that cannot be given by name."""
        try:
            found = [p for p in inspect.signature(self.function).parameters.values() if p.name not in self.bound]
        except ValueError as error:
            raise ConfigurationError(f"task {self.task!r}: its parameters are not known: {error}") from error
        for parameter in found:
            if parameter.kind not in _NAMED:
                raise ConfigurationError(
                    f"task {self.task!r}: parameter {str(parameter)!r} has no name on the wire; use plain or keyword-only parameters"
                )
            if isinstance(parameter.default, FieldInfo):
                raise ConfigurationError(
                    f"task {self.task!r}: parameter {parameter.name!r} would have pydantic's Field(...) itself as its default:"
                    f" write {parameter.name}: Annotated[..., Field(...)], and a default after it"
                )
        if found and found[0].name in ("self", "cls") and _is_of_a_class(self.source):
            raise ConfigurationError(
                f"task {self.task!r}: {self.source.__qualname__} is a method, and no job can give its {found[0].name!r}:"
                " register it bound, task(instance.method)"
            )
        return found

    def hints(self) -> dict[str, Any]:
        """The annotations, and as "return" what the job results in. Raises NameError for one that is not known."""
        hints = get_type_hints(self.source, include_extras=True)
        if (result := hints.get("return")) is not None:
            hints["return"] = self._awaited(result)
        return hints

    def _awaited(self, result: Any) -> Any:
        """What a caller gets who awaits a result of this type."""
        origin, args = get_origin(result), get_args(result)
        if result in (Never, NoReturn):  # it always raises
            return None
        if origin in _STREAMED:
            raise ConfigurationError(f"task {self.task!r}: its result is a stream, but {_ONE_RESULT}")
        return args[-1] if origin in _AWAITED and args else result


def name_of(function: Any) -> str:
    """What a task is called that is not given a name. Raises `ConfigurationError` for a callable that has none."""
    while isinstance(function, partial):
        function = function.func
    name = getattr(function, "__name__", None)
    if not isinstance(name, str):
        raise ConfigurationError(f"{_called(function)} has no name: give the task one, task(name=...)")
    return name


def handler_of(task: str, function: Any) -> Handler:
    """How a callable is run. Raises `ConfigurationError` for one that could never be."""
    if isinstance(function, staticmethod):
        function = function.__func__
    if not callable(function) or inspect.isclass(function):
        what = "a class" if inspect.isclass(function) else "a classmethod" if isinstance(function, classmethod) else "not callable"
        raise ConfigurationError(f"task {task!r}: {_called(function)} is {what}: register a function or a bound method")
    inner, bound = function, set[str]()
    while isinstance(inner, partial):
        bound |= inner.keywords.keys()
        inner = inner.func
    call = inner if inspect.isroutine(inner) else inner.__call__
    if inspect.isasyncgenfunction(call) or inspect.isgeneratorfunction(call):
        raise ConfigurationError(f"task {task!r}: {_called(inner)} is a generator, but {_ONE_RESULT}")
    source = inspect.unwrap(inner, stop=lambda wrapped: hasattr(wrapped, "__signature__"))
    if not inspect.isroutine(source):
        source = source.__call__
    handler = Handler(task, function, source, is_async=False, bound=frozenset(bound))
    return handler._replace(is_async=is_coroutine_function(call) or says_it_is_awaited(source))


def is_coroutine_function(call: Any) -> bool:
    """Also of one that is marked so, as asyncio and asgiref do."""
    marker = getattr(asyncio.coroutines, "_is_coroutine", None)
    return inspect.iscoroutinefunction(call) or (marker is not None and getattr(call, "_is_coroutine", None) is marker)


def says_it_is_awaited(source: Callable[..., Any]) -> bool:
    """Whether a plain function is annotated to return something to await; a wrapper has the annotation of what it wraps."""
    try:
        return get_origin(get_type_hints(source).get("return")) in _AWAITED
    except NameError:  # said by who reads all annotations
        return False


def _is_of_a_class(function: Any) -> bool:
    holder = getattr(function, "__qualname__", "").rpartition(".")[0]
    return not inspect.ismethod(function) and bool(holder) and not holder.endswith("<locals>")


def _called(function: Any) -> str:
    return getattr(function, "__qualname__", None) or f"an object of {type(function).__qualname__}"
