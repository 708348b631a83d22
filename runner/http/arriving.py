"""The next part of a request's body, also where somebody before has read it, as error trackers do in the apps of others that include these routes."""

from fastapi import Request

from runner.http.problems import Problem


async def next_part(request: Request) -> tuple[bytes, bool]:
    """The next part, and whether there is another. Raises `Problem` if the connection ends before the body does.

    Whoever reads a body by `request.body()`, `json()` or `form()` leaves it with the request; `receive` would then wait for the end of the
    connection, which waits for the answer.
    """
    kept: bytes | None = getattr(request, "_body", None)
    if kept is not None:
        return kept, False
    message = await request.receive()
    if message["type"] == "http.disconnect":
        raise Problem("invalid-json", "the connection ended before the body did")
    return message.get("body", b""), bool(message.get("more_body", False))
