"""Before Python 3.12 pydantic refuses `typing.TypedDict`: its classes are rebuilt here as those of typing_extensions, which it takes."""

import sys
import typing
from functools import reduce
from operator import or_
from types import GenericAlias, UnionType
from typing import Annotated, Any, NotRequired, Required, Union, get_args, get_origin, get_type_hints

import typing_extensions

_ARE_REFUSED = sys.version_info < (3, 12)


def rebuilt(hint: Any) -> Any:
    """The annotation with every `typing.TypedDict` in it rebuilt. A class that refers to itself, or is generic, stays as it is."""
    return _rebuilt(hint, ()) if _ARE_REFUSED else hint


def _rebuilt(hint: Any, within: tuple[Any, ...]) -> Any:
    if hint in within:
        return hint
    if type(hint).__module__ == "typing" and typing.is_typeddict(hint):
        return _rebuilt_class(hint, (*within, hint))
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return Annotated[(_rebuilt(hint.__origin__, within), *hint.__metadata__)]
    new = tuple(_rebuilt(arg, within) for arg in args)
    if all(before is after for before, after in zip(args, new, strict=True)):
        return hint
    if origin in (Union, UnionType):
        return reduce(or_, new)
    return GenericAlias(origin, new) if isinstance(origin, type) else origin[new]


def _rebuilt_class(kind: Any, within: tuple[Any, ...]) -> Any:
    fields = {}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        plain = get_args(hint)[0] if get_origin(hint) in (Required, NotRequired) else hint
        fields[name] = (Required if name in kind.__required_keys__ else NotRequired)[_rebuilt(plain, within)]
    make: Any = typing_extensions.TypedDict  # a type checker wants its fields written down
    made = make(kind.__name__, fields)
    made.__doc__, made.__module__, made.__qualname__ = kind.__doc__, kind.__module__, kind.__qualname__
    if hasattr(kind, "__pydantic_config__"):
        made.__pydantic_config__ = kind.__pydantic_config__
    return made
