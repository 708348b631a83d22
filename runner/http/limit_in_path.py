"""The answer about a limit whose name stands in the address: unknown is 404, a name that no limit can have is 422."""

from collections.abc import Awaitable
from typing import TypeVar

from runner.errors import ConfigurationError, UnknownLimit
from runner.http.problems import Problem

T = TypeVar("T")


async def of_named_limit(answer: Awaitable[T]) -> T:
    """`answer`. Raises `Problem` where the limit it is about is not there, or cannot be."""
    try:
        return await answer
    except UnknownLimit as error:
        raise Problem("unknown-limit", str(error), status=404) from None
    except ConfigurationError as error:  # a name that no limit can have
        raise Problem("validation", str(error)) from None
