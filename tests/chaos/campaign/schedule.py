"""What a campaign does when, told by its seed alone: every fault, every intervention. The jobs are in `calls`."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

FIRST_FAULT_S = 2.0


@dataclass(frozen=True)
class Step:
    """Faults that are injected together, at the earliest at an instant; each draws what it needs from a seed of its own."""

    at_s: float
    faults: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Deed:
    """Something a person does: cancels or retries a job, changes a limit."""

    at_s: float
    what: str
    seed: int


_DEEDS = {"cancel": 10, "retry": 4, "change_limit": 1}
_DEEDS_A_SECOND = 3.0
_TOGETHER = 0.2
"""The share of steps with two faults at once."""


def steps(seed: int, until_s: float, weights: Mapping[str, int], families: Mapping[str, str], pause_s: float) -> Iterator[Step]:
    """The faults, about every `pause_s` seconds. Each kind comes once before any comes again; two at once are of different families."""
    draw = random.Random(f"{seed} faults")
    fresh = draw.sample(list(weights), len(weights))
    at_s = FIRST_FAULT_S
    while at_s < until_s:
        kinds = [fresh.pop() if fresh else draw.choices(list(weights), weights=list(weights.values()))[0]]
        if draw.random() < _TOGETHER:
            others = [kind for kind in weights if families[kind] != families[kinds[0]]]
            kinds.append(draw.choices(others, weights=[weights[kind] for kind in others])[0])
        yield Step(at_s, tuple((kind, draw.getrandbits(32)) for kind in kinds))
        at_s += draw.uniform(0.5, 1.5) * pause_s


def deeds(seed: int, until_s: float) -> Iterator[Deed]:
    """The interventions, a few every second."""
    draw = random.Random(f"{seed} deeds")
    at_s = 1.0
    while at_s < until_s:
        yield Deed(at_s, draw.choices(list(_DEEDS), weights=list(_DEEDS.values()))[0], draw.getrandbits(32))
        at_s += draw.expovariate(_DEEDS_A_SECOND)
