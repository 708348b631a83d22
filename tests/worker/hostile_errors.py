"""Errors that do their worst when they are asked what they are. pytest asks every name of a test's module, so they are made here."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

from runner import RateLimited
from runner.errors import InvalidArguments


class Meta(type):
    """A class that gives nothing away."""

    def __getattribute__(cls, name: str) -> Any:
        raise SystemExit(f"no {name}")

    def __instancecheck__(cls, instance: object) -> bool:
        raise SystemExit("no check")


def raising(method: str, error: BaseException, base: type[BaseException] = Exception) -> BaseException:
    """An error whose method raises another one."""

    def fail(*_: object) -> Any:
        raise error

    hostile: type[BaseException] = type(f"Hostile{method.strip('_').title()}", (base,), {method: fail})
    return hostile()


class Endless(str):
    """A text whose parts raise."""

    __slots__ = ()

    def __getitem__(self, _: Any) -> Any:
        raise KeyboardInterrupt

    def encode(self, *_: object, **__: object) -> Any:
        raise SystemExit(9)


def with_text(text: str) -> BaseException:
    texted: type[BaseException] = type("Texted", (Exception,), {"__str__": lambda _: text})
    return texted()


class Headers:
    """A response that raises when it is read."""

    def __init__(self, error: Callable[[], BaseException] = RecursionError) -> None:
        self.error = error

    @property
    def headers(self) -> Any:
        raise self.error()

    def __repr__(self) -> str:
        raise self.error()


no_class = type("NoClass", (Exception,), {"__class__": property(lambda _: sys.exit(1))})
no_cause = type("NoCause", (Exception,), {"__cause__": property(lambda _: sys.exit(1)), "__notes__": property(lambda _: sys.exit(1))})
metal = Meta("Metal", (Exception,), {})
base_metal = Meta("BaseMetal", (BaseException,), {})

HOSTILE: list[Callable[[], BaseException]] = [
    lambda: raising("__str__", SystemExit(1)),
    lambda: raising("__str__", KeyboardInterrupt()),
    lambda: raising("__repr__", SystemExit(1), StopIteration),
    lambda: raising("__str__", GeneratorExit(), BaseException),
    *(no_class, no_cause, metal, base_metal),
    lambda: BaseExceptionGroup("all", [SystemExit(2), raising("__str__", SystemExit(1)), KeyboardInterrupt()]),
    lambda: ExceptionGroup("deep", [ExceptionGroup("er", [ValueError("\ud800\x1b[2J")])]),
    lambda: with_text(Endless("text")),
    lambda: with_text("x" * 1_000_000 + "\ud800"),
    lambda: SystemExit(3),
    lambda: asyncio.CancelledError("own doing"),
    *(KeyboardInterrupt, GeneratorExit, StopAsyncIteration, MemoryError, RecursionError, TimeoutError),
    lambda: InvalidArguments("of another task"),
    lambda: RateLimited(["x"]),  # type: ignore[arg-type] # as a careless handler says it
    lambda: RateLimited("nobody"),
]
THROTTLING: list[Callable[[], BaseException]] = [
    lambda: RateLimited("x", retry_after=Headers()),
    lambda: RateLimited("x", retry_after=Headers(SystemExit)),
    lambda: RateLimited("x", retry_after=Headers(asyncio.CancelledError)),
    lambda: RateLimited("x", retry_after=10**400),
]
