"""Usage: how near a log of starts came to what a limit allows. Pure arithmetic over instants in µs."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Taken(NamedTuple):
    """Tokens of one bucket that a job took at one instant and held until its end."""

    at_us: int
    end_us: int
    cost: int


class Usage(NamedTuple):
    """`worst`: most tokens in any window of the limit. `utilisation`: the part that was used of what the limit could have let through."""

    worst: int
    utilisation: float


def worst_window(taken: Sequence[Taken], window_us: int) -> int:
    """Most tokens in any closed window of this length. Only windows that end with a start are counted: no other holds more."""
    worst = tokens = first = 0
    for row in taken:
        tokens += row.cost
        while taken[first].at_us < row.at_us - window_us:
            tokens -= taken[first].cost
            first += 1
        worst = max(worst, tokens)
    return worst


def most_at_once(taken: Iterable[Taken]) -> int:
    """Most tokens that were held at the same time; those that come back at an instant can be taken again at that instant."""
    changes: list[tuple[int, bool, int, int]] = []
    for place, (at_us, end_us, cost) in enumerate(taken):
        # A job without a duration ends after its own start, and before the next start of the log.
        changes += [(at_us, True, 2 * place, cost), (end_us, end_us == at_us, 2 * place + 1, -cost)]
    most = held = 0
    for *_, change in sorted(changes):
        held += change
        most = max(most, held)
    return most
