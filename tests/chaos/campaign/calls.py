"""The jobs of a campaign, told by its seed and their numbers alone: what is called, how it is spelled, and who submits it.

It imports nothing of the application, so that producers without its code can use it.
"""

import random
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

QUEUE = "campaign"
OLD, NEW = 1, 2
"""The versions of the application."""
FIRST_PROBE, FIRST_BY_NAME, FIRST_PLAIN = 1_000_000_000, 2_000_000_000, 3_000_000_000
"""Probes, and the jobs of the producers by name and in plain code, have numbers of their own, far above those of the schedule."""
A_LAUNCH = 1_000_000
"""Numbers for each process that one after another is such a producer."""
ODD_ANSWERS = 10_000

TENANTS = 20
_ACCOUNTS = [UUID(int=0xA7E1F3C0D2B44C5E9F0A1B2C3D4E5F60 + number) for number in range(8)]
BUSY_TENANT = 0.2
"""The share of calls that come from one of the tenants."""


@dataclass(frozen=True)
class Call:
    """One job to submit, by the declarations of a version: by its code, or without code by what the catalog says, which is the new one."""

    task: str
    args: dict[str, Any]
    options: dict[str, Any] = field(default_factory=dict)
    version: int = OLD
    by_http: bool = False


# Of a thousand jobs so many are of each task.
_SHARES = {
    "plain": 249,
    "threaded": 30,
    "slow": 80,
    "flaky": 60,
    "doomed": 20,
    "later": 60,
    "metered": 80,
    "stepped": 20,
    "windowed": 35,
    "keyed": 50,
    "slotted": 25,
    "mixed": 40,
    "crawling": 15,
    "paired": 15,
    "tripled": 25,
    "bursting": 18,
    "asking": 15,
    "alongside": 6,
    "spending": 30,
    "spending_metered": 10,
    "hasty": 8,
    "rationed": 3,
    "entitled": 3,
    "told_to_wait": 4,
    "charge": 14,
    "ship": 12,
    "print_out": 12,
    "greet": 12,
    "refund": 5,
    "per_account": 15,
    "per_branch": 15,
    "oddly_told": 9,
    "oddly_refused": 5,
}
_BY_NAME = {"plain": 30, "per_account": 30, "per_branch": 30, "charge": 10, "ship": 8, "print_out": 8, "greet": 8, "refund": 4}
_PLAIN = {"plain": 40, "threaded": 10, "per_account": 15, "per_branch": 15, "charge": 8, "ship": 6, "print_out": 6, "greet": 8}
SEVERAL = frozenset({"mixed", "crawling", "paired", "tripled", "bursting", "asking", "alongside", "entitled", "spending_metered"})
"""The tasks of several limits."""
LIMITED = SEVERAL | {"metered", "stepped", "windowed", "keyed", "slotted", "rationed", "told_to_wait", "spending"}
CHANGED = frozenset({"charge", "ship", "print_out", "greet", "refund"})
"""The tasks that the versions declare differently; the last one is new."""
ODD = frozenset({"oddly_told", "oddly_refused"})
"""The tasks whose provider answers oddly."""
WATCHED = CHANGED | {"per_account", "per_branch"}
"""The tasks of which it is checked who ran them, and under which buckets."""
_IMPATIENT = 0.05
"""The share of jobs of several limits that expire if they wait for long."""
_BLOCK = 40
"""Jobs whose numbers follow each other come by one door, as a batch: the code of the old or the new version, or HTTP."""
_BY_HTTP = 10
"""Every tenth block goes over HTTP, if there is an API."""


def call(seed: int, number: int) -> Call:
    """The job of this number; that of a probe is not told here."""
    draw = random.Random(f"{seed} job {number}")
    if number >= FIRST_PLAIN:
        return _drawn(draw, number, _PLAIN, plain_version((number - FIRST_PLAIN) // A_LAUNCH), may_name_note=False)
    if number >= FIRST_BY_NAME:
        named = _drawn(draw, number, _BY_NAME, NEW)
        return Call(named.task, named.args | {"number": spelled_int(draw, number)}, named.options, NEW)
    block = number // _BLOCK
    by_http = block % _BY_HTTP == 0
    return _drawn(draw, number, _SHARES, NEW if by_http or block % 2 else OLD, by_http=by_http)


def plain_version(launch: int) -> int:
    """That of the application which the producer in plain code has: each process has the other one's."""
    return NEW if launch % 2 else OLD


def _drawn(
    draw: random.Random, number: int, shares: dict[str, int], version: int, *, by_http: bool = False, may_name_note: bool = True
) -> Call:
    """`may_name_note`: of the new argument, whose jobs only new workers can run."""
    task = draw.choices(list(shares), weights=list(shares.values()))[0]
    weights = [2, 5, 3] if task in SEVERAL else [1, 8, 0] if task in WATCHED else [1, 8, 1]
    options: dict[str, Any] = {"priority": draw.choices(["high", "normal", "low"], weights=weights)[0]}
    if task in SEVERAL and draw.random() < _IMPATIENT:
        options["max_wait"] = draw.uniform(0.5, 5.0)
    if task == "later":
        task, options["delay"] = "plain", draw.uniform(0.1, 3.0)
    args = {"number": number, **_arguments(draw, task)}
    if task == "refund":
        version = NEW
    if task == "greet" and version == NEW and may_name_note and draw.random() < 0.5:
        args["note"] = f"note {number}"
    return Call(task, args, options, version, by_http)


def _arguments(draw: random.Random, task: str) -> dict[str, Any]:
    """All but the number."""
    match task:
        case "threaded":
            return {"seconds": draw.uniform(0, 0.03)}
        case "slow":
            return {"seconds": draw.uniform(0.2, 3.0)}
        case "slotted":
            return {"seconds": draw.uniform(0.02, 0.6)}
        case "flaky":
            return {"failures": draw.randint(1, 2)}
        case "keyed" | "tripled":
            return {"tenant": tenant(draw)}
        case "mixed":
            return {"tenant": tenant(draw), "tokens": draw.randint(1, 3)}
        case "paired":
            return {"pages": draw.randint(1, 3), "calls": draw.randint(1, 2)}
        case "spending":
            return {"tokens": draw.choice([1, 1, 2, 3])}
        case "crawling" | "asking":
            return {"seconds": draw.uniform(0.05, 0.4)}
        case "ship":
            return {"tenant": tenant(draw), "region": draw.choice(["north", "east", "south", "west"])}
        case "per_account":
            return {"account": spelled_uuid(draw, draw.choice(_ACCOUNTS))}
        case "per_branch":
            return {"branch": spelled_int(draw, draw.randrange(8))}
        case "oddly_told" | "oddly_refused":
            return {"answer": draw.randrange(ODD_ANSWERS)}
    return {}


def tenant(draw: random.Random) -> str:
    """One of them; the first one calls far more often than the others."""
    return "t0" if draw.random() < BUSY_TENANT else f"t{draw.randrange(TENANTS)}"


def spelled_uuid(draw: random.Random, value: UUID) -> str:
    """One of the ways to write it."""
    return draw.choice([str(value), str(value).upper(), value.hex, f"{{{value}}}", f"urn:uuid:{value}", value.hex.upper()])


def spelled_int(draw: random.Random, value: int) -> int | float | str:
    """One of the ways to write it."""
    spellings: list[int | float | str] = [value, str(value), float(value), f"00{value}", f" {value} "]
    return draw.choice(spellings)
