"""What a public function takes or returns is a public name too: whoever calls it can write down the types of what they hold."""

import inspect
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, Literal, ParamSpec, TypeVar, get_args, get_origin, get_type_hints

import pytest

import runner
from runner import (
    ApiKeys,
    BlockingApiKeys,
    BlockingBatchHandle,
    BlockingBulks,
    BlockingClient,
    BlockingControl,
    BlockingHandle,
    BlockingHttpClient,
    BlockingPauses,
    BlockingRawResult,
    BlockingRunner,
    BlockingScheduleControl,
    BlockingTask,
    Bulks,
    Completed,
    Control,
    Done,
    HttpBulks,
    HttpControl,
    HttpPauses,
    HttpScheduleControl,
    JobContext,
    JobHandle,
    Limit,
    Pauses,
    RawResult,
    Runner,
    ScheduleControl,
    Task,
)
from tests.unit.test_architecture import PUBLIC_ROOMS, public_names

MADE_BY_THE_LIBRARY = (
    *(
        ApiKeys,
        BlockingApiKeys,
        BlockingBatchHandle,
        BlockingClient,
        BlockingHttpClient,
        HttpControl,
        BlockingControl,
        BlockingHandle,
        BlockingRunner,
        BlockingTask,
    ),
    *(BlockingPauses, HttpPauses, Pauses),
    *(BlockingScheduleControl, HttpScheduleControl, ScheduleControl),
    *(BlockingBulks, Bulks, HttpBulks),
    *(BlockingRawResult, Completed, Control, Done, JobContext, JobHandle, RawResult, Task),
)
"""Users get these from a method, and never call their constructors."""
OF_A_KIND = {"bucket_of", "forms", "from_text", "full_bucket", "usage"}
"""What every kind of limit has for the scripts, the simulation and the command line."""
VARIABLES = (TypeVar, ParamSpec)
DUNDERS = ("__init__", "__call__")


def public_objects() -> dict[str, Any]:
    return {f"{room}.{name}": getattr(import_module(room), name) for room in sorted(PUBLIC_ROOMS) for name in public_names(room)}


def annotated(value: Any) -> Iterator[Any]:
    """What carries annotations: a function itself; a class (its fields) with its public methods and properties."""
    if not inspect.isclass(value):
        if inspect.isfunction(value):
            yield value
        return
    yield value
    for name, member in vars(value).items():
        if name.startswith("_") and name not in DUNDERS:
            continue
        if (name == "__init__" and value in MADE_BY_THE_LIBRARY) or (name in OF_A_KIND and issubclass(value, Limit)):
            continue
        function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if inspect.isfunction(function):
            yield function


def types_in(hint: Any) -> Iterator[Any]:
    """The types that an annotation is made of."""
    if isinstance(hint, list):
        for part in hint:
            yield from types_in(part)
    elif get_origin(hint) is None:
        yield hint
    elif get_origin(hint) is not Literal:
        for part in (get_origin(hint), *get_args(hint)):
            yield from types_in(part)


def hidden_types(value: Any, public: list[Any]) -> list[str]:
    """The types of this library that the annotations of a value name, and that are not public. Protocols are never named by a user."""
    return [
        f"{function.__qualname__}: {name}: {kind.__name__}"
        for function in annotated(value)
        for name, hint in get_type_hints(function).items()
        if not name.startswith("_") and not (inspect.isclass(function) and name in OF_A_KIND)
        for kind in types_in(hint)
        if getattr(kind, "__module__", "").split(".")[0] == "runner"
        if kind not in public and not isinstance(kind, VARIABLES) and not getattr(kind, "_is_protocol", False)
    ]


@pytest.mark.parametrize("name", public_objects())
def test_what_a_public_name_takes_or_returns_is_public(name: str) -> None:
    objects = public_objects()

    assert hidden_types(objects[name], list(objects.values())) == []


def test_no_name_is_public_twice_with_two_meanings() -> None:
    objects = public_objects()

    assert all(objects[f"runner.{name}"] is value for room, value in objects.items() if (name := room.rpartition(".")[2]) in runner.__all__)


def test_an_app_and_a_task_have_few_public_attributes() -> None:
    app = Runner("names")

    @app.task
    async def work() -> None: ...

    assert {name for name in vars(app) if not name.startswith("_")} == {"queue", "settings", "children", "tasks", "limits"}
    assert {name for name in vars(work) if not name.startswith("_")} == {"definition"}
    assert {name for name in JobHandle.__slots__ if not name.startswith("_")} == {"id", "first_state"}


class _Hidden:
    pass


_Hidden.__module__ = "runner.inside"


class _Shown:
    field: list[_Hidden]

    def method(self, call: Callable[[_Hidden], int]) -> "dict[str, _Hidden | None]":
        raise NotImplementedError

    @property
    def value(self) -> tuple[_Hidden, ...]:
        raise NotImplementedError

    def _inner(self, one: _Hidden) -> None:
        raise NotImplementedError


def test_a_hidden_type_is_found_wherever_it_is_named() -> None:
    assert hidden_types(_Shown, [_Shown]) == [
        "_Shown: field: _Hidden",
        "_Shown.method: call: _Hidden",
        "_Shown.method: return: _Hidden",
        "_Shown.value: return: _Hidden",
    ]
    assert hidden_types(_Shown, [_Shown, _Hidden]) == []
