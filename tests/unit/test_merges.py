"""No file holds what a merge left undone: where no compiler reads a file, such as a script of the dashboard's page, nothing else would see it."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("api", "bench", "deploy", "docs", "examples", "handbook", "runner", "tests")
UNDONE = re.compile(rb"^(?:<{7}|>{7}|\|{7})(?: |$)", re.MULTILINE)


def files() -> Iterator[Path]:
    """Every file of the repository's own folders, and those beside them."""
    yield from (path for path in ROOT.iterdir() if path.is_file())
    for folder in FOLDERS:
        yield from (path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def test_no_file_holds_the_marks_of_a_merge() -> None:
    assert [path.relative_to(ROOT).as_posix() for path in files() if UNDONE.search(path.read_bytes())] == []


def test_marks_are_seen_wherever_they_stand() -> None:
    seen = {path.suffix for path in files()}

    assert {".py", ".lua", ".js", ".css", ".md", ".yml", ".json", ".toml"} <= seen
    assert UNDONE.search(b"a\n" + b"<" * 7 + b" HEAD\nb")
    assert not UNDONE.search(b"Title\n=======\n")
