"""What is looked for in a built site, beside what its builder refuses: links of any kind that lead nowhere, and requests to other hosts."""

import posixpath
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_FETCHED = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src"), ("video", "src"), ("use", "href")}


class _Links(HTMLParser):
    """Every address of a page, and whether a browser fetches it by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        is_fetched = tag != "link" or (values.get("rel") or "") not in ("canonical", "prev", "next", "alternate")
        for name in ("href", "src"):
            if address := values.get(name):
                self.found.append((address, is_fetched and (tag, name) in _FETCHED))


def faults_of(site: Path) -> Iterator[str]:
    """Each fault in a line."""
    for page in sorted(site.rglob("*.html")):
        name = page.relative_to(site).as_posix()
        links = _Links()
        links.feed(page.read_text())
        for address, is_fetched in links.found:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                if is_fetched and parts.scheme != "data":
                    yield f"{name}: fetches {address} from another host"
            elif parts.path and name != "404.html" and not _exists(site, name, unquote(parts.path)):
                yield f"{name}: {address} leads nowhere"


def _exists(site: Path, page: str, path: str) -> bool:
    target = site / posixpath.normpath(posixpath.join(posixpath.dirname(page), path))
    return target.is_file() or (target / "index.html").is_file()
