"""Where the sources of the site lie in the repository, and where each file of it comes to in the site."""

import posixpath
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BESIDE = {"README.md": "index.md", "CHANGELOG.md": "project/changelog.md", "CONTRIBUTING.md": "project/contributing.md"}
"""Pages that lie outside of docs/, by their place in the site."""


def place(path: str) -> str:
    """Where a file of the repository comes to in the site, both relative to their roots; other files than pages and pictures go to `files/`."""
    if path in BESIDE:
        return BESIDE[path]
    parts = PurePosixPath(path).parts
    if parts[0] == "docs":
        return "/".join(parts[1:])
    if parts[0] == "examples" and parts[-1] == "README.md":
        return path
    return f"files/{path}" if "." in parts[-1] else f"files/{path}.txt"


def link(source: str, target: str) -> str:
    """What a link of this file to that one is in the site."""
    return posixpath.relpath(place(target), posixpath.dirname(place(source)) or ".")
