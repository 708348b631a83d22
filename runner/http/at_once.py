"""AtOnce: how many requests of a kind may be under way at the same time, each of which holds a connection for long."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from runner.http.connections import most_connections
from runner.http.problems import Problem

MOST_OWN_WAITS = 50
MOST_STREAMS = 500


class AtOnce:
    """At most `most` in all, or of each caller if they are named. `too_many` is told how many there are."""

    def __init__(self, most: int, too_many: Callable[[int], Problem]) -> None:
        self._most = most
        self._too_many = too_many
        self._counts: Counter[str] = Counter()

    @contextmanager
    def one_more(self, who: str = "") -> Iterator[None]:
        """Around a request. Raises `Problem` if there are too many."""
        counts = self._counts
        if counts[who] >= self._most:
            raise self._too_many(counts[who])
        counts[who] += 1
        try:
            yield
        finally:
            counts[who] -= 1
            if not counts[who]:
                del counts[who]


def waits() -> AtOnce:
    """Requests that wait for something to happen. They may hold half of the connections: the others are for requests that are answered."""
    return AtOnce(
        most_connections() // 2, lambda count: Problem("busy", f"{count} requests wait at this service already: come back for the status")
    )


def waits_of_each() -> AtOnce:
    """Those of each caller, beside all others. Counted in this process: what they could use up are its connections."""
    return AtOnce(
        MOST_OWN_WAITS,
        lambda count: Problem(
            "too-many-requests",
            f"{count} requests of this key wait at this service already: ask for the status without waiting",
            headers={"Retry-After": "1"},
        ),
    )


def streams(most: int | None) -> AtOnce:
    """Streams of events: `MOST_STREAMS`, or a quarter of the connections if those are few."""
    most = min(MOST_STREAMS, most_connections() // 4) if most is None else most
    return AtOnce(most, lambda count: Problem("too-many-streams", f"{count} event streams are open here, and there may be {most}"))
