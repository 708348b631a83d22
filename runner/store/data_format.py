"""The format of what lies in Redis, as a number: which versions of this library may share a queue. docs/compatibility.md has the rule."""

FORMAT = 1
"""Written by this version. One more for each change that the version before could not work beside."""
OLDEST_FORMAT = 1
"""The oldest format whose code may still work beside this version."""


def refusal(queue: str, newest: int, oldest: int) -> str:
    """What to say when a queue is used by versions that this one cannot work beside."""
    return (
        f"queue {queue!r} is in use by a newer version of this library (format {newest}), beside which none older than format {oldest}"
        f" may work, and this one has format {FORMAT}: upgrade it"
    )


def too_soon(queue: str, worker: str, found: int) -> str:
    """What to say when a worker so old is still at work that this version cannot work beside it."""
    return (
        f"worker {worker} of queue {queue!r} has format {found}, and this version works beside format {OLDEST_FORMAT} and newer only:"
        " stop it first, or go by the version between"
    )
