"""Build the site into build/site: stage the pages, let Zensical make them, and refuse what it does not look at. Nothing is fetched."""

import os
import posixpath
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from typing import Any

from handbook.inspection import faults_of
from handbook.tree import BESIDE, DOCS, ROOT, link, place

CONFIGURATION = ROOT / "zensical.toml"
STAGED = ROOT / "build" / "pages"
SITE = ROOT / "build" / "site"
_LINK = re.compile(r"(\]\()([^)\s]+)\)")


class BuildFailed(Exception):
    """The site was not built, or has a fault: each line says one."""


def build() -> None:
    """Make build/site anew. A broken link, a page that the navigation lacks, and anything that is fetched from elsewhere are faults."""
    stage()
    if missing := lacking(in_navigation()):
        raise BuildFailed("\n".join(f"{CONFIGURATION.name}: `nav` lacks {page}" for page in missing))
    shutil.rmtree(SITE, ignore_errors=True)
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "--config-file", str(CONFIGURATION)]
    environment = {**os.environ, "NO_COLOR": "1"}
    ran = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if ran.returncode:
        plain = re.sub(r"\x1b\[[0-9;]*m", "", ran.stdout)
        raise BuildFailed(plain.partition("Traceback")[0])
    if faults := list(faults_of(SITE)):
        raise BuildFailed("\n".join(faults))


def stage() -> None:
    """Copy pages and pictures to build/pages, with links as they are there, and every file outside of docs/ that a page links."""
    shutil.rmtree(STAGED, ignore_errors=True)
    for path in sources():
        target = STAGED / place(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.endswith(".md"):
            target.write_text(_staged(path))
        else:
            shutil.copyfile(ROOT / path, target)


def sources() -> list[str]:
    """All files of docs/ and those beside it that are pages, relative to the repository."""
    examples = (ROOT / "examples").rglob("README.md")
    return [path.relative_to(ROOT).as_posix() for path in sorted([*DOCS.rglob("*"), *examples]) if path.is_file()] + list(BESIDE)


def _staged(page: str) -> str:
    """The text of a page with the links that it needs in the site."""
    text = (ROOT / page).read_text()
    if "```mermaid" in text:
        raise BuildFailed(f"{page}: a script of another host would draw this Mermaid: give an SVG, or a picture of text")

    def rewritten(found: re.Match[str]) -> str:
        target, mark, anchor = found[2].partition("#")
        if not target or "://" in target or target.startswith("mailto:"):
            return found[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page), target))
        if not (ROOT / path).is_file():
            raise BuildFailed(f"{page}: there is no file {target!r} (a folder needs the page in it, like {target.rstrip('/')}/README.md)")
        if place(path).startswith("files/"):
            copy = STAGED / place(path)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, copy)
        return f"{found[1]}{link(page, path)}{mark}{anchor})"

    return _LINK.sub(rewritten, text)


def lacking(navigation: Iterable[str]) -> list[str]:
    """The pages that these do not lead to. The records of decisions, and the examples, have a list of their own."""
    pages = {place(path) for path in sources() if path.endswith(".md")}
    return sorted(page for page in pages - set(navigation) if not re.search(r"/decisions/\d{4}-|^examples/.+/", page))


def in_navigation() -> Iterator[str]:
    """The pages that the navigation leads to."""

    def pages(entries: list[Any]) -> Iterator[str]:
        for entry in entries:
            for below in entry.values() if isinstance(entry, dict) else [entry]:
                yield from pages(below) if isinstance(below, list) else [below]

    return pages(tomllib.loads(CONFIGURATION.read_text())["project"]["nav"])
