"""Work, Job and LineName: what is submitted, and the line it waits in."""

import re
from typing import NamedTuple, Self

from runner.limits import Need

ROUND = 4096
"""The turns of a line of weight 1 are so far apart."""
CLASSES = 3
_NORMAL = 1
_PRIORITY = re.compile(r"([0-2])\|")
_WEIGHT = re.compile(r"\*(\d+)$")


class Work(NamedTuple):
    """What equal jobs have in common: who submits them and when, what they need, and the line they wait in."""

    tenant: str
    submitted_us: int
    duration_us: int
    needs: tuple[Need, ...]
    line: str


class Job(NamedTuple):
    """One job; its id is what holds the tokens it takes."""

    id: str
    work: Work


class LineName(NamedTuple):
    """A line by its name, and what the name says: its class (0 high, 1 normal, 2 low), and what one turn adds to its tag.

    A line of weight 3 ("...@tenant*3") has three turns in a round.
    """

    name: str
    class_: int
    stride: int

    @classmethod
    def of(cls, name: str) -> Self:
        """The line of this name."""
        priority, weight = _PRIORITY.match(name), _WEIGHT.search(name)
        return cls(name, int(priority[1]) if priority else _NORMAL, max(int(ROUND / int(weight[1]) + 0.5), 1) if weight else ROUND)
