"""Foreign: what objects and functions of other people's code answer. Whatever that raises when asked is caught here, and nowhere else."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

MOST_TEXT = 2_000
"""Characters kept of an error's text."""
MOST_ERRORS = 20_000
"""Looked at in one that a handler raised: a loop of `raise ... from last` leaves thousands. So many take some 50 ms."""
_CONSTANT: dict[type, str] = {MemoryError: "no memory was left", RecursionError: "its calls went too deep"}
"""Errors in whose company nothing more is asked for."""

_name_of: Callable[[type], str] = type.__dict__["__name__"].__get__  # a metaclass can hide the plain way to it


def asked(ask: Callable[[], T], otherwise: Callable[[BaseException], T]) -> T:
    """What foreign code answers, or what `otherwise` makes of an error that it raises: SystemExit, KeyboardInterrupt and CancelledError too.

    Nothing is awaited in it, so no cancellation of the task that asks is among them.
    """
    try:
        return ask()
    except BaseException as error:  # noqa: BLE001 - the code that is asked may exit
        return otherwise(error)


def kind_of(value: object) -> str:
    """The name of its class."""
    return plain(_name_of(type(value)), MOST_TEXT)


def shown(value: object, most: int) -> str:
    """The value for people, in so many characters; its class, if it cannot be shown."""
    text = asked(lambda: plain(repr(_beginning(value, [most + 1])), most + 1), lambda _: f"an object of type {kind_of(value)}")
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _beginning(value: Any, left: list[int]) -> Any:
    """As much of a value as so many characters can show: of what JSON brings, which can be large. Each item of it is a character at least."""
    kind = type(value)
    if kind is str or kind is bytes:
        return value[: left[0] + 1]
    if kind is dict:
        return {_beginning(key, left): _beginning(value[key], left) for key in _first(value, left)}
    if kind is list or kind is tuple:
        return kind(_beginning(item, left) for item in _first(value, left))
    return value


def _first(items: Iterable[Any], left: list[int]) -> Iterator[Any]:
    for item in items:
        left[0] -= 1
        if left[0] < 0:
            break
        yield item


def text_of(error: object, most: int = MOST_TEXT) -> str:
    """The message of an error, or of what it carries, in so many characters; a constant if it gives none."""
    if type(error) in _CONSTANT:
        return _CONSTANT[type(error)]
    return asked(lambda: plain(str(error), most), lambda unprintable: f"(no text: {kind_of(unprintable)})")


def leaves_of(error: BaseException) -> list[BaseException]:
    """The errors of a group at any depth (a TaskGroup raises one), the first 20,000 in order; of another error itself alone.

    One that cannot be looked at, because an attribute of its class raises, ends the list: all found before are in it.
    """
    found: list[BaseException] = []
    asked(lambda: _find_leaves(error, found), lambda _: None)
    return found or [error]


def _find_leaves(error: BaseException, found: list[BaseException]) -> None:
    members, seen = [error], 0
    while members and seen < MOST_ERRORS:
        one, seen = members.pop(), seen + 1
        if is_a(one, BaseExceptionGroup):
            members += one.exceptions[::-1]  # type: ignore[attr-defined] # it is one
        else:
            found.append(one)


def is_a(error: BaseException, kind: type[BaseException]) -> bool:
    """Whether `except kind` would catch it: nothing is asked of the error's class, nor of the kind's, whose code may answer anything."""
    return type.__subclasscheck__(kind, type(error))


def on_one_line(text: str) -> str:
    """The text as a log shows it: no control character of it can imitate a line, or move a terminal."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


class Indented(str):
    """Lines of which each is indented and shows its control characters: a log may write them as they are."""

    __slots__ = ()


def indented(text: str) -> Indented:
    """Several lines for a log, none of which can be taken for one of the log's own."""
    return Indented("\n".join(f"    {on_one_line(line)}" for line in text.splitlines()))


def plain(text: str, most: int | None = None) -> str:
    """So much of a text, as a real str without lone surrogates, which UTF-8 cannot encode."""
    return str.__getitem__(text, slice(most)).encode(errors="backslashreplace").decode()[:most]
