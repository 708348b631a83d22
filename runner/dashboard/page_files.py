"""page_files: the files of the page by their path, as they are sent, each made and compressed once."""

import gzip
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from runner.dashboard.bundle import bundled, lean_style
from runner.dashboard.lean_script import lean_script

_FOLDER = Path(__file__).with_name("page")
_MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".md": "text/plain; charset=utf-8",
    "": "text/plain; charset=utf-8",
}


class PageFile(NamedTuple):
    """A file as it is sent: its bytes, the same compressed by gzip, and a tag that changes with them."""

    content: bytes
    compressed: bytes
    media_type: str
    etag: str


@cache
def page_files() -> Mapping[str, PageFile]:
    """All files by their path below the page, like `js/main.js`, which has all modules in it; the page itself is `index.html`. Made at the first call."""
    own = [_FOLDER / name for name in ("index.html", "favicon.svg", "style.css", "js/theme.js", "js/main.js")]
    vendor = sorted(path for path in (_FOLDER / "vendor").iterdir() if path.is_file())
    return {path.relative_to(_FOLDER).as_posix(): _read(path) for path in (*own, *vendor)}


def _read(path: Path) -> PageFile:
    if path == _FOLDER / "js" / "main.js":
        content = lean_script(bundled(path)).encode()
    else:
        content = lean_style(path.read_text()).encode() if path.suffix == ".css" else path.read_bytes()
    media_type = _MEDIA_TYPES.get(path.suffix, _MEDIA_TYPES[""])
    return PageFile(content, gzip.compress(content, mtime=0), media_type, f'"{sha256(content).hexdigest()[:24]}"')
