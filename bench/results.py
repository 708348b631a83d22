"""Turns repetitions into a report: median and spread of each figure, for people or as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from bench.environment import Environment
from bench.redis_load import CommandUse
from bench.scenario import Repetition, Scenario

_FEWEST_CALLS = 0.01


@dataclass(frozen=True, slots=True)
class Report:
    """One scenario with these options, repeated here."""

    scenario: Scenario
    options: Any
    environment: Environment
    repetitions: Sequence[Repetition]

    def to_json(self) -> str:
        figures = {
            name: {"median": median(values), "min": min(values), "max": max(values), "values": values}
            for name, values in self._figures().items()
        }
        content = {
            "scenario": self.scenario.name,
            "options": asdict(self.options),
            "environment": asdict(self.environment),
            "repetitions": len(self.repetitions),
            "figures": figures,
            "redis_commands": {"per": self.scenario.unit, **{name: asdict(use) for name, use in self._commands().items()}},
        }
        return json.dumps(content)

    def to_text(self) -> str:
        place = "  ".join(f"{name}={value}" for name, value in asdict(self.environment).items())
        given = "  ".join(f"{name}={value}" for name, value in asdict(self.options).items())
        lines = [f"{self.scenario.name}: {self.scenario.description}", place, f"{given}  repetitions={len(self.repetitions)}", ""]
        lines.append(f"{'':56}{'median':>12}{'min':>12}{'max':>12}")
        lines += [
            f"{name:56}{_number(median(values)):>12}{_number(min(values)):>12}{_number(max(values)):>12}"
            for name, values in self._figures().items()
        ]
        commands = {name: use for name, use in self._commands().items() if use.calls >= _FEWEST_CALLS}
        lines += ["", f"Redis commands a {self.scenario.unit}, and their µs (a script's include its commands'):"]
        lines += [f"{name:34}{use.calls:12.2f}{use.us:12.1f}" for name, use in commands.items()]
        return "\n".join(lines)

    def _figures(self) -> dict[str, list[float]]:
        return {name: [repetition.figures[name] for repetition in self.repetitions] for name in self.repetitions[0].figures}

    def _commands(self) -> dict[str, CommandUse]:
        """Of the middle repetition by its first figure."""
        first = next(iter(self.repetitions[0].figures))
        ordered = sorted(self.repetitions, key=lambda repetition: repetition.figures[first])
        return ordered[len(ordered) // 2].commands


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 or value == int(value) else f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}"
