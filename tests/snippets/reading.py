"""The blocks of code of all pages that people read, with where they stand."""

import re
from dataclasses import dataclass
from pathlib import Path

from handbook.text import MADE
from tests.pages import DOCS, ROOT

SHELL = ("sh", "bash", "console")
PATIENCE_S = "30"
"""How long Redis may be silent while snippets run: other processes have the CPU, too."""


@dataclass(frozen=True)
class Block:
    """One fenced block. `line` is the line of its first line of code."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def commands(self) -> list[tuple[str, list[str]]]:
        """Each command of a shell block, and in a console block the lines of output that are shown for it."""
        found: list[tuple[str, list[str]]] = []
        for line in self.text.replace("\\\n", "").splitlines():
            if self.language == "console" and not line.startswith("$ "):
                found[-1][1].append(line)
            elif line.strip() and not line.startswith("#"):
                found.append((line.removeprefix("$ "), []))
        return found


PAGES = [path for path in (ROOT / "README.md", *sorted(DOCS.rglob("*.md"))) if MADE not in path.read_text()]


def blocks_of(page: Path) -> list[Block]:
    """All fenced blocks of a page, in order, without copies of an example, which has its own tests."""
    text = page.read_text()
    return [
        Block(page, text.count("\n", 0, found.start(2)) + 1, found[1], found[2])
        for found in re.finditer(r"^```(\w*)[^\n]*\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
        if not text[: found.start()].endswith("-->\n")
    ]


def blocks(*languages: str) -> list[Block]:
    """All blocks of these languages, of all pages."""
    return [block for page in PAGES for block in blocks_of(page) if block.language in languages]
