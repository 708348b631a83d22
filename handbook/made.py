"""The pages of the reference that are made from the code. They are committed, so that they can be read without the site; a test compares them."""

import ast
import re
import textwrap
from pathlib import Path

from handbook import command_line, errors, names, routes, settings
from handbook.tree import DOCS, ROOT

REFERENCE = DOCS / "reference"
_CODE = re.compile(r"(<!-- code: (\S+?)(?:#(\S+))? -->\n```\w+\n).*?(```\n)", re.DOTALL)
"""A block that is a copy of a file, or of a part of it, see `copied`."""


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


def copied(file: str, names: str | None) -> str:
    """The text of a file of this repository without its module docstring, or a part of it.

    The part is what lies between `# [NAME]` and `# [/NAME]`, or else the top-level definitions of these names, with commas between them.
    """
    text = (ROOT / file).read_text()
    if names is None:
        return re.sub(r'\A""".*?"""\n+', "", text, flags=re.DOTALL)
    if marked := re.search(rf"^ *# \[{names}\]\n(.*?)^ *# \[/{names}\]\n", text, re.DOTALL | re.MULTILINE):
        return textwrap.dedent(marked[1]).rstrip("\n") + "\n"
    wanted = set(names.split(","))
    parts: list[str] = []
    for node in ast.parse(text).body:
        if found := _defined(node) & wanted:
            first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])
            parts.append(("\n\n" if parts and hasattr(node, "decorator_list") else "") + _lines(text, first, node.end_lineno))
            wanted -= found
    if wanted:
        raise ValueError(f"{file} defines no {', '.join(sorted(wanted))}")
    return "".join(parts)


def _defined(node: ast.stmt) -> set[str]:
    """The names that a statement defines."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _lines(text: str, first: int, last: int | None) -> str:
    return "".join(text.splitlines(keepends=True)[first - 1 : last])


def decisions() -> str:
    """The list of decisions."""
    folder = DOCS / "explanation" / "decisions"
    rows = []
    for path in sorted(folder.glob("[0-9]*.md")):
        number, _, title = path.read_text().partition("\n")[0].removeprefix("# ").partition(" ")
        rows.append(f"- [{number}]({path.name}) {title}")
    return "# Decisions\n\nEach closes a door: what was the question, what was decided, and what follows.\n\n" + "\n".join(rows) + "\n"
