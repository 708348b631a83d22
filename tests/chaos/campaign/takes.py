"""The takers' side of the ledger: what they were told, and when they left their slots, from the notes of their processes."""

from collections import Counter
from dataclasses import dataclass, field

TAKEN, HELD, REFUSED, CANCELLED, UNANSWERED = "taken", "held", "refused", "cancelled", "unanswered"
"""What a line of the notes says: `taken TICKET seconds`, `held TICKET until_us`, `refused wait`, and the last two by themselves."""
_AS_LONG_AS_IT_TAKES = "None"


@dataclass
class Takes:
    """Every take, by its ticket. Its tokens and their instant come from the log of starts."""

    lease_us: int
    ends: Counter[str] = field(default_factory=Counter)
    waits_s: list[float] = field(default_factory=list)
    logged: set[str] = field(default_factory=set)
    _told: set[str] = field(default_factory=set)
    _left_us: dict[str, int] = field(default_factory=dict)
    _broken_words: int = 0

    def note(self, what: str, words: list[str]) -> None:
        """Take in a line that a taker wrote."""
        if what != HELD:
            self.ends[what] += 1
        if what == TAKEN:
            self._told.add(words[0])
            self.waits_s.append(float(words[1]))
        elif what == HELD:
            self._left_us[words[0]] = int(words[1])
        elif what == REFUSED and words[0] == _AS_LONG_AS_IT_TAKES:
            self._broken_words += 1

    def held_until_us(self, ticket: str, taken_us: int) -> int:
        """Until when a slot was held for sure: it may lapse a lease after it was taken, if its process or Redis was away."""
        return min(max(self._left_us.get(ticket, 0), taken_us), taken_us + self.lease_us)

    def findings(self) -> dict[str, list[str]]:
        """Takes of which the log of starts knows nothing, and refusals of those who wait as long as it takes."""
        return {
            "taken without tokens": [f"{ticket} was told to go" for ticket in sorted(self._told - self.logged)],
            "refused": [f"{self._broken_words} takers that would wait as long as it takes"] if self._broken_words else [],
        }
