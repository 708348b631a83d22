"""`python -m bench plot`: draws the newest kept results into docs/images/, and writes their figures into docs/explanation/benchmarks.md."""

from pathlib import Path

from bench.environment import ROOT
from bench.presentation.pictures import pictures
from bench.presentation.tables import measured, rewritten
from bench.results import newest

PAGE = ROOT / "docs" / "explanation" / "benchmarks.md"
IMAGES = ROOT / "docs" / "images"


def contents() -> dict[Path, str]:
    """What each file of docs/ that is made of the kept results is to say."""
    results = newest()
    drawn = pictures(results)
    text = rewritten(PAGE.read_text(), measured(results, [f"../{IMAGES.name}/{name}" for name in drawn]))
    return {**{IMAGES / name: picture for name, picture in drawn.items()}, PAGE: text}


def main() -> int:
    for path, text in contents().items():
        path.write_text(text)
        print(path)
    return 0
