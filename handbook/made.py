"""The pages of the reference that are made from the code. They are committed, so that they can be read without the site; a test compares them."""

import re
from pathlib import Path

from handbook import command_line, errors, names, routes, settings
from handbook.tree import DOCS, ROOT

REFERENCE = DOCS / "reference"
_CODE = re.compile(r"(<!-- code: (\S+?)(?:#(\S+))? -->\n```\w+\n).*?(```\n)", re.DOTALL)
"""A block that is a copy of a file, or of the part of it between `# [name]` and `# [/name]`."""


def made() -> dict[Path, str]:
    """What each page that is made from the code, or has a block copied from an example, is to say."""
    pages = {
        REFERENCE / "api.md": names.page(),
        REFERENCE / "cli.md": command_line.page(),
        REFERENCE / "errors.md": errors.page(),
        REFERENCE / "routes.md": routes.page(),
        REFERENCE / "settings.md": settings.page(),
        DOCS / "explanation" / "decisions" / "README.md": decisions(),
    }
    for path in sorted(DOCS.rglob("*.md")):
        text = path.read_text()
        if path not in pages and "<!-- code: " in text:
            pages[path] = _CODE.sub(lambda found: f"{found[1]}{copied(found[2], found[3])}{found[4]}", text)
    return pages


def write() -> list[Path]:
    """Write all of them; those that have changed."""
    changed = [path for path, text in made().items() if not path.exists() or path.read_text() != text]
    pages = made()
    for path in changed:
        path.write_text(pages[path])
    return changed


def copied(file: str, part: str | None) -> str:
    """The text of a file of this repository without its module docstring, or one part of it."""
    text = (ROOT / file).read_text()
    if part is None:
        return re.sub(r'\A""".*?"""\n+', "", text, flags=re.DOTALL)
    found = re.search(rf"^ *# \[{part}\]\n(.*?)^ *# \[/{part}\]\n", text, re.DOTALL | re.MULTILINE)
    if found is None:
        raise ValueError(f"{file} has no part between `# [{part}]` and `# [/{part}]`")
    lines = found[1].splitlines(keepends=True)
    indent = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
    return "".join(line[indent:] if line.strip() else line for line in lines).rstrip("\n") + "\n"


def decisions() -> str:
    """The list of decisions."""
    folder = DOCS / "explanation" / "decisions"
    rows = []
    for path in sorted(folder.glob("[0-9]*.md")):
        number, _, title = path.read_text().partition("\n")[0].removeprefix("# ").partition(" ")
        rows.append(f"- [{number}]({path.name}) {title}")
    return "# Decisions\n\nEach closes a door: what was the question, what was decided, and what follows.\n\n" + "\n".join(rows) + "\n"
