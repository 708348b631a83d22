"""Unwinding: ends the generators that made values for a call, the latest first, as `contextlib.AsyncExitStack` ends its contexts.

One thing is different: as long as the call has no result, a generator that swallows the error makes no success of it. The error stays.
"""

import logging
from collections.abc import AsyncGenerator, Generator
from typing import Any

from runner.foreign import kind_of, on_one_line, text_of

log = logging.getLogger("runner")

Open = list[tuple[str, Any, bool]]
"""The generators that wait at their `yield`, with their names, and whether they are async."""


def begin(name: str, generator: Generator[Any, Any, Any]) -> Any:
    """The value that a generator yields. Raises whatever it raises."""
    try:
        return next(generator)
    except StopIteration:
        raise not_begun(name) from None


def not_begun(name: str) -> RuntimeError:
    """What is raised for a generator that ends before it yields."""
    return RuntimeError(f"{name} did not yield a value")


def unwind(opened: Open, error: BaseException | None, job: str) -> BaseException | None:
    """End them all. What is raised in the end: by them, or `error`, which has ended the call before; None if nothing is."""
    has_result = error is None
    while opened:
        name, generator, _ = opened.pop()
        try:
            is_swallowed = end(name, generator) if error is None else throw(name, generator, error)
        except BaseException as raised:  # noqa: BLE001 - goes to those that are left
            error = _after(raised, error)
        else:
            error = _what_stays(is_swallowed, error, name, job, has_result=has_result)
    return error


async def aunwind(opened: Open, error: BaseException | None, job: str) -> BaseException | None:
    """The same for generators of both kinds."""
    has_result = error is None
    while opened:
        name, generator, is_async = opened.pop()
        try:
            if not is_async:
                is_swallowed = end(name, generator) if error is None else throw(name, generator, error)
            elif error is None:
                try:
                    await generator.__anext__()
                except StopAsyncIteration:
                    continue  # as it is nearly always: here, as a call for it would cost as much as the end itself
                is_swallowed = await _never_ended(name, generator)
            else:
                is_swallowed = await athrow(name, generator, error)
        except BaseException as raised:  # noqa: BLE001 - goes to those that are left
            error = _after(raised, error)
        else:
            error = _what_stays(is_swallowed, error, name, job, has_result=has_result)
    return error


def end(name: str, generator: Generator[Any, Any, Any]) -> bool:
    """Let it run to its end."""
    try:
        next(generator)
    except StopIteration:
        return False
    try:
        raise RuntimeError(f"{name} yields more than one value")
    finally:
        generator.close()


async def _never_ended(name: str, generator: AsyncGenerator[Any, Any]) -> bool:
    try:
        raise RuntimeError(f"{name} yields more than one value")
    finally:
        await generator.aclose()


def throw(name: str, generator: Generator[Any, Any, Any], error: BaseException) -> bool:
    """Raise the error at its `yield`. Whether it swallows it; raises another one, if it does."""
    trace = error.__traceback__
    try:
        generator.throw(error)
    except StopIteration as stop:
        return stop is not error
    except RuntimeError as raised:
        if raised is not error and not (isinstance(error, StopIteration) and raised.__cause__ is error):
            raise
    except BaseException as raised:
        if raised is not error:
            raise
    else:
        try:
            raise RuntimeError(f"{name} yields again after an error")
        finally:
            generator.close()
    error.__traceback__ = trace
    return False


async def athrow(name: str, generator: AsyncGenerator[Any, Any], error: BaseException) -> bool:
    """The same for an async one."""
    trace = error.__traceback__
    try:
        await generator.athrow(error)
    except StopAsyncIteration as stop:
        return stop is not error
    except RuntimeError as raised:
        if raised is not error and not (isinstance(error, StopIteration | StopAsyncIteration) and raised.__cause__ is error):
            raise
    except BaseException as raised:
        if raised is not error:
            raise
    else:
        try:
            raise RuntimeError(f"{name} yields again after an error")
        finally:
            await generator.aclose()
    error.__traceback__ = trace
    return False


def _after(raised: BaseException, before: BaseException | None) -> BaseException:
    """An error that a generator raised in the place of the one before, which it shows as its context."""
    earlier, later = _contexts(before), _contexts(raised)
    if before is not None and earlier.keys().isdisjoint(later):
        next(reversed(later.values())).__context__ = before
    return raised


def _contexts(error: BaseException | None) -> dict[int, BaseException]:
    """The error, that in whose handling it was raised, and so on, by their ids; a circle of them once."""
    chain = dict[int, BaseException]()
    while error is not None and id(error) not in chain:
        chain[id(error)] = error
        error = error.__context__
    return chain


def _what_stays(is_swallowed: bool, error: BaseException | None, name: str, job: str, *, has_result: bool) -> BaseException | None:
    if not is_swallowed or error is None:
        return error
    if has_result:
        return None
    log.warning(
        "dependency %s of job %s swallowed %s: %s; the attempt fails with it all the same, as it has no result: raise it again there",
        *(name, job, kind_of(error), on_one_line(text_of(error))),
    )
    return error
