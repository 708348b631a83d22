"""The price of a body in tokens of the rate of a key: by its declared length before it comes, without one by what has come."""

from collections.abc import Awaitable, Callable, Iterable

from starlette.types import Scope

BYTES_A_TOKEN = 64 * 1024
"""A request takes a token, one with a larger body a token for each of these, a batch one for each job."""
_STATE = "runner.http.body_price"

Charge = Callable[[int], Awaitable[None]]
"""Takes so many tokens beyond the first one. Raises `Problem`."""


def declared_length(fields: Iterable[tuple[bytes, bytes]]) -> int | None:
    """The length that Content-Length declares; None without one, and in a chunked request, where it does not count."""
    length = None
    for name, value in fields:
        if name == b"transfer-encoding":
            return None
        if name == b"content-length":
            length = int(value[:20]) if value.isdigit() else None
    return length


def tokens_of(body_bytes: int) -> int:
    """What a request with such a body takes."""
    return max(-(-body_bytes // BYTES_A_TOKEN), 1)


def charged(scope: Scope, charge: Charge) -> int:
    """What a request takes now. A body without a declared length is charged once it has come."""
    length = declared_length(scope["headers"])
    if length is None:
        scope[_STATE] = charge
    return tokens_of(length or 0)


async def has_come(scope: Scope, body_bytes: int) -> None:
    """So much of a body has come, and no more will. Raises what the charge raises."""
    charge: Charge | None = scope.pop(_STATE, None)
    if charge is not None and body_bytes > BYTES_A_TOKEN:
        await charge(tokens_of(body_bytes) - 1)
