"""Observation: what a provider has said to one of our calls, and what became of that word."""

from typing import NamedTuple


class Observation(NamedTuple):
    """What a provider said to an attempt: so many tokens are left of the account behind a bucket, until `resets_in_us` from now; -1: not said.

    started_us, levels: of a call that is no attempt, see `Decision`. At the home of a shared limit -1 if they are unknown.
    """

    bucket: str
    job: str
    attempt: int
    left: int
    resets_in_us: int = -1
    started_us: int = 0
    levels: str = ""


class Heard(NamedTuple):
    """What became of a word: by how many tokens the bucket was lowered; -1: it was ignored.

    ago_us: since the call began; None if that is unknown. at_us: this instant, by the clock of that server. levels: as those of `Observation`, now.
    """

    lowered: int
    ago_us: int | None
    at_us: int
    levels: str
