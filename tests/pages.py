"""The pages of docs/, by name wherever they lie, and the Python in them for tests that run it: what a reader copies works."""

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def page(name: str) -> Path:
    """The one page of this name, like `metrics.md`, in whichever folder of docs/ it is."""
    (found,) = DOCS.rglob(name)
    return found


def blocks(name: str) -> list[str]:
    """The blocks of Python of a page, in order."""
    return re.findall(r"```python\n(.*?)```", page(name).read_text(), re.DOTALL)


def run_blocks(name: str, **names: Any) -> dict[str, Any]:
    """Run them one after the other as one module, in which these names are there; all names that it has then."""
    for number, block in enumerate(blocks(name), 1):
        exec(compile(block, f"{page(name).relative_to(ROOT)}, block {number}", "exec"), names)
    return names
