"""What a scenario is: a name, its options, and one measurement that is repeated on a fresh server each time."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from bench.redis_load import CommandUse


@dataclass(frozen=True, slots=True)
class Repetition:
    """What one measurement came to: figures by name (the name ends in the unit), and Redis commands a `Scenario.unit`."""

    figures: dict[str, float]
    commands: dict[str, CommandUse]


@dataclass(frozen=True, slots=True)
class Scenario:
    """`measure(url, options)` runs on an empty server. `options` is a dataclass made of `option` fields."""

    name: str
    unit: str
    options: type[Any]
    measure: Callable[[str, Any], Coroutine[Any, Any, Repetition]]
    description: str


def option(default: Any, description: str) -> Any:
    """A field of a scenario's options, and so an option of the command line."""
    return field(default=default, metadata={"help": description})


def percentiles(values: list[float], unit: str, label: str = "") -> dict[str, float]:
    """Figures p50, p90, p99 and max of what was measured, by nearest rank."""
    ordered = sorted(values)
    ranks = {"p50": 0.50, "p90": 0.90, "p99": 0.99, "max": 1.0}
    return {f"{label}{name}_{unit}": ordered[min(int(part * len(ordered)), len(ordered) - 1)] for name, part in ranks.items()}
