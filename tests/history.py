"""What the scripts themselves wrote down: every start (with the setting `record_starts`) and every accepted outcome, by Redis's clock."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from redis.asyncio import Redis

from runner.connection.client import command
from runner.store.keys import Keys


class Start(NamedTuple):
    """One entry of the log of starts: what was taken of which buckets, at which instant."""

    job: str
    at_us: int
    costs: Mapping[str, int]
    attempt: int = 1


class Ending(NamedTuple):
    """One accepted outcome that ended a job; its instant is known to the millisecond, rounded down."""

    job: str
    state: str
    attempt: int
    at_us: int


async def starts_of(redis: Redis, queue: str) -> list[Start]:
    """The log of starts, in order."""
    entries = await command(redis, "XRANGE", Keys(queue).starts, "-", "+")
    starts = [
        Start(
            fields[b"job"].decode(errors="backslashreplace"),
            int(fields[b"now"]),
            _costs(fields[b"limits"].decode()),
            int(fields[b"attempt"]),
        )
        for _, fields in entries
    ]
    return sorted(starts, key=lambda start: start.at_us)


async def endings_of(redis: Redis, queue: str) -> list[Ending]:
    """The log of outcomes, in order. It is cut to about `history_length`: set that to more than the jobs there are."""
    entries = await command(redis, "XRANGE", Keys(queue).history, "-", "+")
    return [
        Ending(
            fields[b"job"].decode(errors="backslashreplace"),
            fields[b"state"].decode(),
            int(fields[b"attempt"]),
            int(entry.partition(b"-")[0]) * 1000,
        )
        for entry, fields in entries
    ]


def began(starts: Sequence[Start], runs: Mapping[str, int]) -> list[Start]:
    """The starts whose attempt began: a claim whose reply was lost is in the log until its worker reconciles.

    `runs` tells how often each job's handler really ran: of a job that started more often, the latest starts count.
    """
    left, found = Counter(runs), []
    for start in reversed(starts):
        if left[start.job] > 0:
            left[start.job] -= 1
            found.append(start)
    return found[::-1]


def _costs(limits: str) -> dict[str, int]:
    """`bucket=cost;...`; a cost marked `!` comes back at the end."""
    return {bucket: int(cost.rstrip("!")) for bucket, _, cost in (need.partition("=") for need in limits.split(";") if need)}
