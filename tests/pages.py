"""The Python of a page of docs/, for tests that run it: what a reader copies works."""

import re
from pathlib import Path
from typing import Any

_DOCS = Path(__file__).parents[1] / "docs"


def blocks(page: str) -> list[str]:
    """The blocks of Python of a page, in order."""
    return re.findall(r"```python\n(.*?)```", (_DOCS / page).read_text(), re.DOTALL)


def run_blocks(page: str, **names: Any) -> dict[str, Any]:
    """Run them one after the other as one module, in which these names are there; all names that it has then."""
    for number, block in enumerate(blocks(page), 1):
        exec(compile(block, f"docs/{page}, block {number}", "exec"), names)
    return names
