"""Looks for the provider's "wait" in whatever a handler raised. Pure and total."""

from runner.errors import RateLimited
from runner.foreign import MOST_ERRORS, asked, is_a


def rate_limited_in(error: BaseException) -> list[RateLimited]:
    """Every `RateLimited` of an error: the error itself, the members of a group at any depth (a TaskGroup raises one), then the causes.

    An error that cannot be looked at, because an attribute of its class raises, has none besides those found before.
    """
    found: list[RateLimited] = []
    asked(lambda: _search(error, found), lambda _: None)
    return found


def _search(error: BaseException, found: list[RateLimited]) -> None:
    level = [error]
    seen = set[int]()
    while level and len(seen) < MOST_ERRORS:
        causes: list[BaseException] = []
        members = level[::-1]
        while members and len(seen) < MOST_ERRORS:
            one = members.pop()
            if id(one) in seen:
                continue
            seen.add(id(one))
            if is_a(one, RateLimited):
                found.append(one)  # type: ignore[arg-type] # it is one
            elif is_a(one, BaseExceptionGroup):
                members += one.exceptions[::-1]  # type: ignore[attr-defined] # as above
            if one.__cause__ is not None:
                causes.append(one.__cause__)
        level = causes
