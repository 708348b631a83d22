"""What becomes of a request whose handler was told to wait by a provider: 503 with the time to come back, instead of an error of the app."""

import logging
import math
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from runner.asgi.verdict import Verdict
from runner.clock import MICROSECONDS, wall_us
from runner.limits import rate_limited_in, read

log = logging.getLogger("runner")

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]


async def run_until_told_to_wait(call: Callable[[Send], Awaitable[None]], send: Send, unsaid_s: float) -> Verdict | None:
    """Run the app's part of a request. The refusal to answer with, if it ended in a `RateLimited` before it answered anything.

    unsaid_s: seconds to come back after, if the provider did not say when, or nothing that can be read; that is logged.
    """
    began = False

    async def noted(message: Message) -> None:
        nonlocal began
        began = True
        await send(message)

    try:
        await call(noted)
    except Exception as error:
        said = rate_limited_in(error)
        if began or not said:
            raise
        word = read(said[0].retry_after, wall_us() / MICROSECONDS)
        if word.seconds is None and word.unreadable is not None:
            log.warning("a provider said wait to a request, for a time that cannot be read: %s", word.unreadable)
        wait_s = unsaid_s if word.seconds is None else word.seconds
        return Verdict(
            "reduced", retry_after_s=max(math.ceil(wait_s), 1), reason="A provider that is called for this request asks to wait."
        )
    return None
