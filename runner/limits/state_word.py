"""LimitState: what a limit does just now, in one word. Decided here alone, for the overview, `top`, the list of limits and the metrics."""

from enum import StrEnum
from typing import NamedTuple


class LimitState(StrEnum):
    """One word for a limit. The same words are in Python, over HTTP and on the command line."""

    idle = "idle"
    """No line, and nothing has started since the minute before this one began."""
    flowing = "flowing"
    """Jobs start, and none waits."""
    at_limit = "at_limit"
    """Jobs wait, and tokens are used as they land."""
    slots_full = "slots_full"
    """Jobs wait for a slot of a limit on concurrency."""
    spent = "spent"
    """Jobs wait for the next period of a quota."""
    waiting_elsewhere = "waiting_elsewhere"
    """Jobs wait in its lines, and what they lack is at another of their limits: here are tokens for two of the next."""
    frozen = "frozen"
    """Nothing starts until an instant that the provider or an operator said."""
    paused = "paused"
    """Nothing starts until somebody resumes it."""
    no_worker = "no_worker"
    """Tokens are there, jobs wait, and no live worker takes them."""

    @property
    def words(self) -> str:
        """For people: "at limit"."""
        return self.value.replace("_", " ")


_OF_KINDS = {"concurrency": LimitState.slots_full, "quota": LimitState.spent}
"""What a line means; of other kinds: tokens are used as they land."""


class LimitFacts(NamedTuple):
    """What the state of a limit follows from.

    frozen_s: of the limit as a whole, or of its only bucket. waiting: jobs in its lines. tokens: of the bucket where most wait. needed: what those in front
    of its lines take, the one who takes most; 0: unknown. started: who took tokens since the minute before this one began. unserved: jobs for which no live worker is there.
    """

    kind: str
    is_paused: bool
    frozen_s: float
    waiting: int
    tokens: int
    needed: int
    started: int
    unserved: int


def limit_state(facts: LimitFacts) -> LimitState:
    """What keeps jobs from starting, the strongest reason first; else whether any do."""
    if facts.is_paused:
        return LimitState.paused
    if facts.frozen_s > 0:
        return LimitState.frozen
    if facts.unserved > 0 and facts.tokens > 0:
        return LimitState.no_worker
    # A token that has just landed is taken within milliseconds: one alone says nothing.
    if facts.waiting > 0 and 0 < 2 * facts.needed <= facts.tokens:
        return LimitState.waiting_elsewhere
    if facts.waiting > 0:
        return _OF_KINDS.get(facts.kind, LimitState.at_limit)
    return LimitState.flowing if facts.started > 0 else LimitState.idle
