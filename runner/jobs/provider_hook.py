"""A hook for httpx: what an answer says is left of the provider's account lowers our bucket, see `JobContext.observe`."""

from collections.abc import Awaitable, Callable

from runner.jobs.context import current_attempt
from runner.jobs.taken import taken_here
from runner.limits import PASSED, Response


def sync_limit(limit: str | None = None, *, counter: str | None = None) -> Callable[[Response], Awaitable[None]]:
    """An event hook for both clients of httpx: `httpx.AsyncClient(event_hooks={"response": [sync_limit("openai-requests")]})`.

    counter: which count of the answer, as "tokens"; without it the one that has no name, or that of requests. A hook for each counts more than
    one; put them before `raise_rate_limited`. It tells of tokens of the limit that were taken for the `with` block in which it is called
    (`with await jobs.take(...)`), or for the request that `RateLimitMiddleware` let through, or else of the job that runs here. Where none of these
    uses the limit it does nothing. For a Concurrency it raises `ConfigurationError`, since no count lowers slots.
    """

    def hook(response: Response) -> Awaitable[None]:
        taken, attempt = taken_here(limit), current_attempt()
        if taken is not None:
            taken.observe(limit, response, counter=counter)
        elif attempt is not None and attempt.uses(limit):
            attempt.observe(limit, response, counter)
        return PASSED

    return hook
