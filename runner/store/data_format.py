"""The format of the data in Redis, as a number: which versions of this library may share a queue. docs/reference/compatibility.md has the rule."""

FORMAT = 3
"""The format that this version writes. Each change that older code cannot work with takes the next number."""
OLDEST_FORMAT = 2
"""The oldest format whose code may still work alongside this version."""

_WITHOUT_IT = "use another queue name, or stop all that use this queue and delete its keys"


def too_old(queue: str, newest: int, oldest: int) -> str:
    """The message for a caller whose version is too old for a queue."""
    return (
        f"queue {queue!r} is in use by a newer version of this library (format {newest}), which works alongside format {oldest} and newer"
        f" only; this one has format {FORMAT}: upgrade it"
    )


def too_new(queue: str, worker: str, found: int) -> str:
    """The message for a worker whose version is too new, as another worker that runs has an older format."""
    return (
        f"worker {worker} of queue {queue!r} has format {found}, and this version works alongside format {OLDEST_FORMAT} and newer only:"
        f" {_WITHOUT_IT}"
    )


def unreadable(queue: str, prefix: str, found: int) -> str:
    """The message for a caller whose version is too new for the data of a queue."""
    return (
        f"queue {queue!r} holds data of format {found}, and this version works with format {OLDEST_FORMAT} and newer only:"
        f" {_WITHOUT_IT}, {prefix}*"
    )
