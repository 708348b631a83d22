"""The page of the public names, made from their signatures and docstrings."""

import ast
import importlib
import inspect
import textwrap
from collections.abc import Iterator
from enum import Enum
from types import ModuleType
from typing import Any

from handbook.text import MADE, docstring

MODULES = ("runner", "runner.asgi", "runner.http", "runner.testing", "runner.http_client")
INTRODUCTION = """# Names of the library

`runner` has the names that most programs need, `runner.asgi` the [middleware](../howto/middleware.md), `runner.http` the HTTP API for an app of
your own, `runner.testing` the [testing kit](../howto/testing.md), `runner.errors` all [errors](errors.md). Other modules are internal.
Public functions take seconds. What a `Blocking...` name does is what the name without it does, for code without an event loop.

"""


def page() -> str:
    """The whole page: a section for each module, and in it one for each name."""
    told: set[int] = set()
    parts = [INTRODUCTION + MADE]
    for name in MODULES:
        module = importlib.import_module(name)
        parts += [f"## {name}\n\n{docstring(module) if name != 'runner' else ''}".rstrip() + "\n", *_sections(module, told)]
    return "\n".join(parts)


def _sections(module: ModuleType, told: set[int]) -> Iterator[str]:
    for name in sorted(module.__all__, key=str.lower):
        thing = getattr(module, name)
        if id(thing) in told or name.startswith("Blocking") or (inspect.isclass(thing) and issubclass(thing, BaseException)):
            continue
        told.add(id(thing))
        yield f"### {name}\n\n" + (_of_class(name, thing) if inspect.isclass(thing) else _of_value(name, thing))


def _of_class(name: str, cls: type[Any]) -> str:
    own = cls.__dict__.get("__init__")
    head = _signature(own, name) if own is not None and inspect.isfunction(own) and _is_written(own) else None
    parts = [_code(head or "\n".join([f"class {name}", *_fields(cls)])), docstring(cls)]
    for member, value in cls.__dict__.items():
        function = _function(value)
        if member.startswith("_") or function is None or not docstring(function):
            continue
        parts.append(f"- `{_signature(function, member, is_property=isinstance(value, property))}`: {_indented(docstring(function))}")
    return "\n\n".join(part for part in parts if part) + "\n"


def _fields(cls: type[Any]) -> Iterator[str]:
    """What a value of this class has, as it is declared."""
    if not _is_written(cls):
        return
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(node, ast.ClassDef)
    for line in node.body:
        if (isinstance(line, ast.AnnAssign) and not ast.unparse(line.target).startswith("_")) or (
            isinstance(line, ast.Assign) and issubclass(cls, Enum)
        ):
            yield f"    {ast.unparse(line)}"


def _of_value(name: str, value: object) -> str:
    if inspect.isfunction(value) and _is_written(value):
        return f"{_code(_signature(value, name))}\n\n{docstring(value)}\n"
    return f"{docstring(value)}\n" if not isinstance(value, ModuleType) and docstring(value) else f"{_code(f'{name}')}\n"


def _function(value: object) -> Any:
    """The function of a member of a class; None of another value."""
    if isinstance(value, property):
        return value.fget
    inner = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
    return inner if inspect.isfunction(inner) and _is_written(inner) else None


def _is_written(function: Any) -> bool:
    """Whether its source is there: functions of generated classes have none."""
    try:
        inspect.getsource(function)
    except (OSError, TypeError):
        return False
    return True


def _signature(function: Any, name: str, *, is_property: bool = False) -> str:
    """The signature as it is written, without `self`."""
    node = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    arguments = node.args
    for listed in (arguments.posonlyargs, arguments.args):
        if listed and listed[0].arg in ("self", "cls"):
            del listed[0]
    returns = f" -> {ast.unparse(node.returns)}" if node.returns and node.name != "__init__" else ""
    if is_property:
        return f"{name}{returns.replace(' -> ', ': ')}"
    return f"{'await ' if isinstance(node, ast.AsyncFunctionDef) else ''}{name}({ast.unparse(arguments)}){returns}"


def _code(text: str) -> str:
    return f"```text\n{text}\n```"


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ").replace("\n  \n", "\n\n")
