"""The results of a scenario: for people as text, for machines as JSON, and kept in bench/results/ as one file a run.

A document is what is kept; everything that shows results reads documents:

    {"scenario": "drain", "description": ..., "at": "2030-01-31T12:00:00Z", "environment": {"commit": ..., "cpus": ..., ...},
     "cases": {"async": {"options": {"jobs": 20000, ...}, "load": [0.1, ...],
                         "figures": {"jobs_per_s": {"median": ..., "min": ..., "max": ..., "values": [...]}, ...},
                         "redis_commands": {"per": "job", "evalsha": {"calls": ..., "us": ...}, ...}}, ...},
     "failures": ["case: what went wrong", ...]}
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench.environment import ROOT, Environment
from bench.redis_load import CommandUse
from bench.scenario import Repetition, Scenario

FOLDER = ROOT / "bench" / "results"
_FEWEST_CALLS = 0.01
_WIDEST_LINE = 150

Document = dict[str, Any]
Results = Mapping[str, Document]
"""The documents that count, by scenario."""


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case, repeated; `load` is the machine's load average before each repetition."""

    options: Any
    repetitions: list[Repetition] = field(default_factory=list)
    load: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, list[float]]:
        return {name: [repetition.figures[name] for repetition in self.repetitions] for name in self.repetitions[0].figures}

    def commands(self) -> dict[str, CommandUse]:
        """Of the middle repetition by its first figure."""
        first = next(iter(self.repetitions[0].figures))
        ordered = sorted(self.repetitions, key=lambda repetition: repetition.figures[first])
        return ordered[len(ordered) // 2].commands


@dataclass(frozen=True, slots=True)
class Report:
    """One scenario as it was measured here. What went wrong is told, and leaves the other cases as they are."""

    scenario: Scenario
    environment: Environment
    at: str
    cases: dict[str, CaseResult]
    failures: list[str]

    def document(self) -> Document:
        return {
            "scenario": self.scenario.name,
            "description": self.scenario.description,
            "at": self.at,
            "environment": asdict(self.environment),
            "cases": {
                name: {
                    "options": asdict(case.options),
                    "load": case.load,
                    "figures": spreads(case.figures()),
                    "redis_commands": {"per": self.scenario.unit, **{command: asdict(use) for command, use in case.commands().items()}},
                }
                for name, case in self._measured().items()
            },
            "failures": self.failures,
        }

    def text(self) -> str:
        place = "  ".join(f"{name}={value}" for name, value in asdict(self.environment).items())
        lines = [f"{self.scenario.name}: {self.scenario.description}", place]
        for name, case in self._measured().items():
            given = "  ".join(f"{option}={value}" for option, value in asdict(case.options).items())
            lines += ["", f"{self.scenario.name} {name}  ({given}  repetitions={len(case.repetitions)})"]
            lines.append(f"{'':44}{'median':>12}{'min':>12}{'max':>12}")
            lines += [
                f"  {figure:42}{number(median(values)):>12}{number(min(values)):>12}{number(max(values)):>12}"
                for figure, values in case.figures().items()
            ]
            commands = {command: use for command, use in case.commands().items() if use.calls >= _FEWEST_CALLS}
            if commands:
                lines.append(f"  Redis commands a {self.scenario.unit}, and their µs (a script's include its commands'):")
                lines += [f"    {command:40}{use.calls:12.2f}{use.us:12.1f}" for command, use in commands.items()]
        return "\n".join([*lines, *(f"FAILED {failure}" for failure in self.failures)])

    def _measured(self) -> dict[str, CaseResult]:
        return {name: case for name, case in self.cases.items() if case.repetitions}


def spreads(figures: Mapping[str, Sequence[float]]) -> dict[str, dict[str, Any]]:
    """What a document says of each figure that was measured so many times."""
    return {
        name: {"median": median(values), "min": min(values), "max": max(values), "values": list(values)} for name, values in figures.items()
    }


def save(document: Document, folder: Path = FOLDER) -> Path:
    """Keep a document: its scenario, day and commit name the file. The same again takes its place."""
    commit = document["environment"]["commit"].replace("+", "-changed")
    path = folder / f"{document['scenario']}-{document['at'][:10]}-{commit}.json"
    folder.mkdir(exist_ok=True)
    path.write_text(_layout(document) + "\n")
    return path


def newest(folder: Path = FOLDER) -> dict[str, Document]:
    """The last kept document of each scenario."""
    documents = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return {document["scenario"]: document for document in sorted(documents, key=lambda document: document["at"])}


def number(value: float) -> str:
    """A figure with as many digits as say something: three, or all before the point."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _layout(value: Any, indent: str = "") -> str:
    """JSON with a line for what fits into one: a figure is a line, and a changed figure a changed line."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict) or len(indent) + len(line) <= _WIDEST_LINE:
        return line
    inner = indent + " "
    rows = (f"{inner}{json.dumps(key)}: {_layout(item, inner)}" for key, item in value.items())
    return "{\n" + ",\n".join(rows) + f"\n{indent}}}"
