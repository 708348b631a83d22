"""The ledger's side of what workers say: in their logs and in dead letters, of odd answers and of jobs of another version."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.chaos.campaign.calls import ODD, Call
from tests.chaos.campaign.odd_provider import ANSWERS, Says, place_of

_TOLD = re.compile(r" WARNING job c(\d+) \((\w+)\): the provider behind \S+ said wait, (.*); nothing starts at \S+ for ")
_AMENDED = re.compile(r" INFO job c\d+ \(\w+\) was submitted by another version of its task, and waits for ")
_DEAD_LETTER = re.compile(r"the provider behind \S+ said wait, (.*)")
_SHOWN = 80
_OFTEN = 3
"""An answer that ended so many jobs is told in some log; of a single one the reply can be lost, or the worker."""


def understood(phrase: str) -> Says | None:
    """What a worker made of an answer, by its own words."""
    if re.fullmatch(r"for [0-9.e+-]+ s", phrase):
        return Says.time
    if phrase == "without saying how long":
        return Says.nothing
    return Says.unreadable if phrase.startswith("for a time that cannot be read: ") else None


class Words:
    """What was told of each answer, and how many jobs were told to have got other buckets."""

    def __init__(self, call_of: Callable[[int], Call]) -> None:
        self._call_of = call_of
        self._told: Counter[int] = Counter()
        self._ended: Counter[int] = Counter()
        self.says: Counter[str] = Counter()
        """How many answers of each kind were told."""
        self.amended = 0
        self._wrong: list[str] = []

    def read_logs(self, folder: Path) -> None:
        """Of all workers, once they have ended."""
        for path in sorted(folder.glob("worker-*.log")):
            for line in path.read_text(errors="replace").splitlines():
                self.amended += _AMENDED.search(line) is not None
                if (told := _TOLD.search(line)) and told[2] in ODD:
                    self._compare(int(told[1]), told[3], f"{path.name}: {line}", self._told)

    def note_dead_letter(self, number: int, message: str) -> None:
        """The last word to a job that was throttled too often."""
        if (said := _DEAD_LETTER.fullmatch(message)) is None:
            self._wrong.append(f"dead letter c{number}: {message}")
        else:
            self._compare(number, said[1], f"dead letter c{number}: {message}", self._ended)

    def findings(self) -> dict[str, list[str]]:
        untold = [place for place, ended in self._ended.items() if ended >= _OFTEN and not self._told[place]]
        return {
            "misunderstood": self._wrong,
            "never told": [f"an answer that ended {self._ended[place]} jobs: {_shown(place)}" for place in untold],
        }

    def _compare(self, number: int, phrase: str, place: str, counts: Counter[int]) -> None:
        place_of_answer = place_of(self._call_of(number).args["answer"])
        counts[place_of_answer] += 1
        says = ANSWERS[place_of_answer].says
        self.says[says] += counts is self._told
        if understood(phrase) is not says:
            self._wrong.append(f"{_shown(place_of_answer)} says {says}, and was told as {phrase!r} ({place:.200})")


def _shown(place: int) -> str:
    """An answer, some of which cannot be printed."""
    try:
        return repr(ANSWERS[place].said)[:_SHOWN]
    except ZeroDivisionError:
        return f"answer {place}"
