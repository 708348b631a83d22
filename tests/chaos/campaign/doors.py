"""The ledger's side of producers in processes of their own: what they submitted, and which results they got."""

from collections import Counter
from collections.abc import Callable

from tests.chaos.campaign.notes import ACCEPTED, LATE, RIGHT, SUBMITS, WRONG


class Doors:
    """The notes of producers by name and in plain code."""

    WORDS = frozenset({SUBMITS, ACCEPTED, RIGHT, WRONG, LATE})

    def __init__(self, accepted: set[int], note_submission: Callable[[int, int], None]) -> None:
        self._accepted = accepted
        self._note_submission = note_submission
        self._wrong: list[str] = []
        self.counts: Counter[str] = Counter()
        """How often each word was noted."""

    def note(self, what: str, words: list[str]) -> None:
        """Take in a line."""
        self.counts[what] += 1
        number = int(words[0])
        if what == SUBMITS:
            self._note_submission(number, int(words[1]))
        elif what == ACCEPTED:
            self._accepted.add(number)
        elif what == WRONG:
            self._wrong.append(f"plain code got {' '.join(words[1:])} of job c{number}")

    def findings(self) -> dict[str, list[str]]:
        """Results that are not those of their jobs, or of another type."""
        return {"wrong result": self._wrong}
