"""The ledger's side of dead letters: none but those that the schedule, or the fault that was injected, asks for."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable

from tests.chaos.campaign.calls import FIRST_BY_NAME, FIRST_PROBE, Call
from tests.chaos.campaign.words import Words

_ASKED_FOR = {"doomed": "RuntimeError", "rationed": "quota_exhausted", "entitled": "quota_exhausted", "oddly_refused": "Throttled"}
_BY_FAULTS = "poison"
"""Of a job that lost its worker again and again."""

IsExcused = Callable[[int, str, int], bool]


class DeadLetters:
    """Every dead letter, as its record said before it was forgotten."""

    def __init__(self, call_of: Callable[[int], Call], is_excused: IsExcused, words: Words) -> None:
        self._call_of = call_of
        self._is_excused = is_excused
        self._words = words
        self._read: list[tuple[int, str, str, int]] = []

    def note(self, number: int, record: bytes | None, at_us: int) -> None:
        """The error of a job that failed; None if it was retried or forgotten before it could be read."""
        if record is not None:
            error, message = _parsed(record)
            self._read.append((number, error, message, at_us))
            if error == "Throttled":
                self._words.note_dead_letter(number, message)

    @property
    def excused(self) -> list[int]:
        """The jobs with a new argument that failed while no live worker could read it."""
        return [number for number, error, _, at_us in self._read if self._is_excused(number, error, at_us)]

    @property
    def kinds(self) -> Counter[str]:
        return Counter(error for _, error, _, _ in self._read)

    def findings(self) -> dict[str, list[str]]:
        wrong: dict[str, list[str]] = defaultdict(list)
        for number, error, message, at_us in self._read:
            task = "plain" if FIRST_PROBE <= number < FIRST_BY_NAME else self._call_of(number).task
            if error not in (_BY_FAULTS, _ASKED_FOR.get(task)) and not self._is_excused(number, error, at_us):
                wrong["dead letters"].append(f"job c{number} ({task}) failed for good: {error}: {message}")
        return {"dead letters": [], **wrong}


def _parsed(record: bytes) -> tuple[str, str]:
    """The type and the message of an error."""
    try:
        error = json.loads(record)
        return error["type"], error["message"]
    except (ValueError, KeyError) as unreadable:
        return "unreadable", f"{record!r}: {unreadable}"
