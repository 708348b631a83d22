"""Writes the measured table of docs/explanation/reliability.md: `python -m tests.chaos.report [FILE...]`, with files that `--fault-report` wrote.

Which tests inject a case is read from their markers; what they measured from the files, and kept where those say nothing.
Exits with 1 if a test in the files had failed.
"""

import ast
import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.pages import page

ROOT = Path(__file__).parents[2]
DOCUMENT = page("reliability.md")
COMMAND = "python -m tests.chaos.report"
HEADER = "| case | tests | times | median | longest | bound of the tests |"
RULE = "|---|---|---|---|---|---|"
NOTHING = ["", "", "", ""]
EXAMPLES = {"tests/unit/test_recovery.py"}
"""Files whose markers are examples."""


def marked_tests(root: Path = ROOT) -> dict[str, list[str]]:
    """The tests of each case, as `path::name`, by the markers in the source: on the test, on its parameters, on its module."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted((root / "tests").rglob("test_*.py")):
        name = path.relative_to(root).as_posix()
        if name not in EXAMPLES:
            for case, test in sorted(_faults_in(ast.parse(path.read_text()))):
                found[case].append(f"{name}::{test}")
    return dict(sorted(found.items()))


def _faults_in(module: ast.Module) -> set[tuple[str, str]]:
    named: dict[str, set[str]] = defaultdict(set)  # cases in what a name of the module stands for, as a list of parameters
    for statement in module.body:
        targets = (
            statement.targets if isinstance(statement, ast.Assign) else [statement.target] if isinstance(statement, ast.AugAssign) else []
        )
        for target in targets:
            if isinstance(target, ast.Name):
                named[target.id] |= set(_cases(statement))
    found = set()
    for test in module.body:
        if isinstance(test, (ast.FunctionDef, ast.AsyncFunctionDef)) and test.name.startswith("test_"):
            cases = set(named["pytestmark"])
            for decorator in test.decorator_list:
                cases |= set(_cases(decorator))
                cases |= {case for node in ast.walk(decorator) if isinstance(node, ast.Name) for case in named.get(node.id, ())}
            found |= {(case, test.name) for case in cases}
    return found


def _cases(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "fault":
            yield str(ast.literal_eval(node.args[0]))


def measured(lines: Iterable[str]) -> dict[str, list[str]]:
    """For each case in a report the cells: times injected, median and longest recovery, and the bounds the tests held."""
    entries: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        entry = json.loads(line)
        entries[entry["case"]].append(entry)
    cells = {}
    for case, those in entries.items():
        seconds = [entry["seconds"] for entry in those if entry["seconds"] is not None]
        bounds = sorted({entry["bound_s"] for entry in those if entry["bound_s"] is not None})
        took = [f"{statistics.median(seconds):.2f} s", f"{max(seconds):.2f} s"] if seconds else ["", ""]
        cells[case] = [str(len(those)), *took, ", ".join(f"{bound:g} s" for bound in bounds)]
    return cells


def rows_of(text: str) -> dict[str, list[str]]:
    """The cells of the measured table by case; a case without a row is not there."""
    lines = iter(text.partition(HEADER)[2].splitlines()[2:])
    rows = {}
    for line in lines:
        if not line.startswith("|"):
            break
        case, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        rows[case] = cells
    return rows


def rendered(text: str, tests: Mapping[str, list[str]], figures: Mapping[str, list[str]]) -> str:
    """The document with its measured table made anew."""
    before = rows_of(text)
    rows = []
    for case, names in tests.items():
        shown = "<br>".join(f"`{name}`" for name in names)
        numbers = figures.get(case) or (before[case][1:] if case in before else NOTHING)
        rows.append(f"| {case} | {shown} | {' | '.join(numbers)} |")
    head, header, rest = text.partition(HEADER)
    if not header:
        raise ValueError(f"no table begins with {HEADER}")
    tail = rest.lstrip("\n").split("\n")
    while tail and tail[0].startswith("|"):
        tail.pop(0)
    return head + "\n".join([HEADER, RULE, *rows, *tail])


def main(files: list[str]) -> int:
    lines = [line for name in files for line in Path(name).read_text().splitlines()]
    DOCUMENT.write_text(rendered(DOCUMENT.read_text(), marked_tests(), measured(lines)))
    failed = sorted({entry["test"] for entry in map(json.loads, lines) if not entry["passed"]})
    for test in failed:
        print(f"failed: {test}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
