"""What is declared for the provider's door, as it has to be kept at the start of the calls, which reach the door up to `jitter` late.

Calls that start in a window of W arrive in one of W + jitter at most, and those that arrive in a window of W started in one of W + jitter.
So a limit keeps what it is declared for at the door if `starts(W + jitter) <= declared(W)` for every W. docs/limits.md has the proofs.
"""

from typing import NamedTuple


class Pace(NamedTuple):
    """A bucket of `capacity` tokens, to which `refill` come back in `every_us`."""

    capacity: int
    refill: int
    every_us: int


def smooth(door: Pace, jitter_us: int) -> Pace:
    """The largest smooth bucket of starts: the burst is lowered by the tokens of `jitter_us`.

    A burst that is too small for that becomes 1, and the rate is lowered by what is still missing.
    """
    capacity = door.capacity - -(-door.refill * jitter_us // door.every_us)
    if capacity >= 1:
        return door._replace(capacity=capacity)
    # The first call beyond the declared burst decides: `capacity` periods less the jitter have to be the time of a token.
    return Pace(1, 1, -(-(jitter_us * door.refill + door.every_us) // (door.capacity * door.refill)))


def interval(door: Pace, jitter_us: int) -> Pace | None:
    """The largest bucket of starts with the same intervals: `jitter_us` may hold so many ends of one. None: nothing is left."""
    capacity = door.capacity - door.refill * -(-jitter_us // door.every_us)
    return door._replace(capacity=capacity) if capacity >= 1 else None
