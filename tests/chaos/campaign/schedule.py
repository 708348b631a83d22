"""What a campaign does when, told by its seed alone: every submission, every fault, every intervention."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

TENANTS = 20
FIRST_FAULT_S = 2.0


@dataclass(frozen=True)
class Call:
    """One job to submit."""

    task: str
    args: dict[str, Any]
    options: dict[str, Any] = field(default_factory=dict)


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


# Of a thousand jobs so many are of each task.
_SHARES = {
    "plain": 460,
    "threaded": 30,
    "slow": 80,
    "flaky": 60,
    "doomed": 20,
    "later": 60,
    "metered": 80,
    "stepped": 30,
    "windowed": 50,
    "keyed": 50,
    "slotted": 25,
    "mixed": 40,
    "hasty": 8,
    "rationed": 3,
    "told_to_wait": 4,
}
_DEEDS = {"cancel": 10, "retry": 4, "change_limit": 1}
_DEEDS_A_SECOND = 3.0
_TOGETHER = 0.2
"""The share of steps with two faults at once."""


def call(seed: int, number: int) -> Call:
    """The job of this number."""
    draw = random.Random(f"{seed} job {number}")
    task = draw.choices(list(_SHARES), weights=list(_SHARES.values()))[0]
    options: dict[str, Any] = {"priority": draw.choices(["high", "normal", "low"], weights=[1, 8, 1])[0]}
    args: dict[str, Any] = {"number": number}
    match task:
        case "threaded":
            args["seconds"] = draw.uniform(0, 0.03)
        case "slow":
            args["seconds"] = draw.uniform(0.2, 3.0)
        case "slotted":
            args["seconds"] = draw.uniform(0.02, 0.3)
        case "flaky":
            args["failures"] = draw.randint(1, 2)
        case "later":
            task, options["delay"] = "plain", draw.uniform(0.1, 3.0)
        case "keyed":
            args["tenant"] = f"t{draw.randrange(TENANTS)}"
        case "mixed":
            args |= {"tenant": f"t{draw.randrange(TENANTS)}", "tokens": draw.randint(1, 3)}
    return Call(task, args, options)


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
