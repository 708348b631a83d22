"""The limit that both queues of a campaign share, its buckets' home on the server of the first one, and the account of both together."""

from collections.abc import Iterable, Sequence

from runner import TokenBucket
from tests.chaos.campaign.tokens import Spell, exceeded
from tests.starts import Starts, merged

SCOPE = "firm"
CONTRACT = TokenBucket("contract", rate="25/s", burst=8, shared=SCOPE)
"""Takers want it all the time, and its burst is small: a token too many would show at once."""
LOWERED = TokenBucket("contract", rate="10/s", burst=4)
LEASE_US = 2_000_000
"""So long a token can be in the hand of a queue that hears nothing of its home."""


def spells_of(from_us: int, until_us: int, most: int) -> list[Spell]:
    """A time in which less was permitted, as the home gives it: what the queues have in hand may come on top, and after a lease nothing has."""
    spells = [Spell(CONTRACT.name, from_us, until_us, most + CONTRACT.capacity)]
    if not most and from_us + LEASE_US < until_us:
        spells.append(Spell(CONTRACT.name, from_us + LEASE_US, until_us, 0))
    return spells


def over_contract(taken: Iterable[Starts], spells: Sequence[Spell]) -> list[str]:
    """Whether all queues together took more than one queue may: in which window, or spell."""
    return exceeded(f"{CONTRACT.name} of all queues together", merged(taken), CONTRACT, spells)


def used(taken: Iterable[Starts]) -> float:
    """The part of what the limit permits that was used from the first start to the last."""
    starts = merged(taken)
    if not starts.at_us:
        return 0.0
    return sum(starts.costs) / CONTRACT.bound((starts.at_us[-1] - starts.at_us[0]) / 1_000_000)
