"""Dependencies: how a parameter says that its value is made for it, in FastAPI's form. What they need in turn is in `dependency_graph`."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Hashable, Iterator
from dataclasses import dataclass
from inspect import Parameter
from typing import Annotated, Any, Literal, Never, TypeVar, cast, get_args, get_origin, overload

from runner.errors import ConfigurationError
from runner.foreign import kind_of, shown

T = TypeVar("T")

Per = Literal["job", "worker"]
"""How often a dependency is made: for each attempt of a job, or once in each worker process."""
_PER: tuple[object, ...] = ("job", "worker")


@dataclass(frozen=True, slots=True)
class Dependency:
    """What `Depends(...)` stands for."""

    function: Callable[..., Any]
    per: Per = "job"


@overload
def Depends(function: Callable[..., AsyncGenerator[T, Any]], *, per: Per = "job") -> T: ...
@overload
def Depends(function: Callable[..., AsyncIterator[T]], *, per: Per = "job") -> T: ...
@overload
def Depends(function: Callable[..., Generator[T, Any, Any]], *, per: Per = "job") -> T: ...
@overload
def Depends(function: Callable[..., Iterator[T]], *, per: Per = "job") -> T: ...
@overload
def Depends(function: Callable[..., Awaitable[T]], *, per: Per = "job") -> T: ...
@overload
def Depends(function: Callable[..., T], *, per: Per = "job") -> T: ...
def Depends(function: Callable[..., Any], *, per: Per = "job") -> Any:  # noqa: N802 - FastAPI's word
    """What a parameter gets is made by `function`.

    Written as `http: Annotated[Http, Depends(get_http)] = injected`, or as a default, `http: Http = Depends(get_http)`.
    function: plain or async, a generator of either kind (what follows its `yield` runs after the handler, before the outcome is
    recorded), or a class. Its own parameters are dependencies too, or have defaults. per: "job" makes one value for each attempt,
    "worker" one for each worker process, at its first use; that is closed when the worker has stopped.
    Raises `ConfigurationError` for what cannot be called.
    """
    given: object = function
    if not (callable(given) and isinstance(given, Hashable)):
        raise ConfigurationError(f"Depends({shown(function, 80)}): give a function, a generator or a class that makes the value")
    if per not in _PER:
        raise ConfigurationError(f'Depends({shown(function, 80)}): per is {shown(per, 40)}, and must be "job" or "worker"')
    return Dependency(function, per)


def dependency_of(whose: str, parameter: Parameter, hint: Any) -> Dependency | None:
    """The dependency that a parameter is by its annotation or its default; None if it is none.

    Raises `ConfigurationError`, which begins with `whose`, for one that is two, for FastAPI's own marker, and for `injected` alone.
    """
    marks = [mark for mark in (*metadata_of(hint), parameter.default) if isinstance(mark, Dependency) or is_fastapis(mark)]
    for mark in marks:
        if not isinstance(mark, Dependency):
            raise ConfigurationError(f"{whose}: {_of_fastapi(parameter.name, mark)}")
    if len(marks) > 1:
        named = " and ".join(f"Depends({name_of_function(mark.function)})" for mark in marks)
        raise ConfigurationError(f"{whose}: parameter {parameter.name!r} has {named}: leave one")
    return marks[0] if marks else None


def metadata_of(hint: Any) -> tuple[Any, ...]:
    """What `Annotated` says besides the type, through aliases made by the `type` statement."""
    hint = unaliased(hint)
    return get_args(hint)[1:] if get_origin(hint) is Annotated else ()


def unaliased(hint: Any) -> Any:
    """The annotation that an alias stands for."""
    while type(hint).__name__ == "TypeAliasType":
        hint = hint.__value__
    return hint


def is_fastapis(mark: object) -> bool:
    """Whether this is FastAPI's `Depends(...)` or `Security(...)`, which this library knows without importing it."""
    return type(mark).__module__ == "fastapi.params" and hasattr(mark, "dependency")


def _of_fastapi(name: str, mark: Any) -> str:
    function = name_of_function(mark.dependency) if mark.dependency is not None else "..."
    return (
        f"parameter {name!r} has the {kind_of(mark)} of FastAPI, which needs a request: write"
        f" `from runner import Depends, injected` and `{name}: Annotated[..., Depends({function})] = injected`"
    )


def name_of_function(function: Any) -> str:
    """What a message calls it."""
    name = getattr(function, "__qualname__", None)
    return name if isinstance(name, str) else shown(function, 60)


class Injected:
    """The class of `injected`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "injected"


_injected = Injected()


def is_injected(default: object) -> bool:
    """Whether a parameter's default is `injected`."""
    return default is _injected


injected: Never = cast("Never", _injected)
"""The default of a parameter that a worker fills in, so that type checkers let callers leave it out. Fits every type."""
