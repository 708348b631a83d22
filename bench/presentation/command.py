"""`python -m bench plot`: draws the newest kept results into docs/, and writes their figures into docs/benchmarks.md."""

from bench.environment import ROOT
from bench.presentation.pictures import pictures
from bench.presentation.tables import measured, rewritten
from bench.results import newest

DOCS = ROOT / "docs"
PAGE = DOCS / "benchmarks.md"


def contents() -> dict[str, str]:
    """What each file of docs/ is to say, by its name."""
    results = newest()
    drawn = pictures(results)
    return {**drawn, PAGE.name: rewritten(PAGE.read_text(), measured(results, list(drawn)))}


def main() -> int:
    for name, text in contents().items():
        (DOCS / name).write_text(text)
        print(DOCS / name)
    return 0
