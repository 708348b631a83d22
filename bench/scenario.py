"""What a scenario is: a name, its cases, and one measurement that is repeated on a fresh server each time."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from bench.redis_load import CommandUse


@dataclass(frozen=True, slots=True)
class Repetition:
    """What one measurement came to: figures by name (the name ends in the unit), and Redis commands a `Scenario.unit`."""

    figures: dict[str, float]
    commands: dict[str, CommandUse] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scenario:
    """`measure(url, options)` runs on an empty server.

    cases: the options of each case by its name, values of one dataclass. quick: what tests put in their place, so that a case takes
    no time and still goes every way. repetitions: the most that are worth their time, by case.
    """

    name: str
    unit: str
    description: str
    cases: Mapping[str, Any]
    quick: Mapping[str, Any]
    measure: Callable[[str, Any], Coroutine[Any, Any, Repetition]]
    repetitions: Mapping[str, int] = field(default_factory=dict)

    def chosen(self, names: list[str], changes: Mapping[str, Any]) -> dict[str, Any]:
        """The cases of these names, all if there are none, with changed options. Raises LookupError for what does not exist."""
        if unknown := [name for name in names if name not in self.cases]:
            raise LookupError(f"{self.name} has no case {unknown[0]!r} (it has: {', '.join(self.cases)})")
        known = {option.name for option in fields(next(iter(self.cases.values())))}
        if strange := changes.keys() - known:
            raise LookupError(f"{self.name} has no option {min(strange)!r} (it has: {', '.join(sorted(known))})")
        return {name: replace(options, **changes) for name, options in self.cases.items() if not names or name in names}


def percentiles(values: list[float], unit: str, label: str = "") -> dict[str, float]:
    """Figures p50, p90, p99 and max of what was measured, by nearest rank."""
    ordered = sorted(values)
    ranks = {"p50": 0.50, "p90": 0.90, "p99": 0.99, "max": 1.0}
    return {f"{label}{name}_{unit}": ordered[min(int(part * len(ordered)), len(ordered) - 1)] for name, part in ranks.items()}
