"""The site of the documents: it is built without a fault, its made pages are what the code says, and no page says what another one says."""

import re
from collections import defaultdict
from pathlib import Path

import pytest

from handbook import build
from handbook.errors import all_errors
from handbook.inspection import faults_of
from handbook.made import copied, made
from handbook.remedies import REMEDIES
from handbook.text import MADE as MADE_MARK
from tests.pages import DOCS, ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
MADE = made()
LEAST_WORDS = 12


@pytest.mark.parametrize("path", MADE, ids=lambda path: path.name)
def test_a_page_that_is_made_from_the_code_is_what_the_code_says(path: Path) -> None:
    assert path.read_text() == MADE[path], "write it anew: make reference"


def test_every_error_has_something_to_do_about_it() -> None:
    assert [cls.__name__ for cls in all_errors() if cls not in REMEDIES] == []
    assert [cls.__name__ for cls in REMEDIES if cls not in all_errors()] == []


def test_the_site_is_built_without_a_fault() -> None:
    build.build()

    assert {path.stem for path in build.SITE.glob("*/*.html")} >= {"five-minutes", "limits", "cli", "architecture"}
    assert "search.json" in {path.name for path in build.SITE.iterdir()}


def test_a_page_that_the_navigation_lacks_is_a_fault() -> None:
    navigation = list(build.in_navigation())

    assert build.lacking(navigation) == []
    assert build.lacking(page for page in navigation if page != "howto/limits.md") == ["howto/limits.md"]


def test_a_link_that_leads_nowhere_and_a_script_from_elsewhere_are_faults(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<a href="b.html">b</a> <a href="c.html">c</a> <a href="https://example.com/">e</a> <img src="x.png">')
    (tmp_path / "b.html").write_text('<script src="https://example.com/x.js"></script><link rel="canonical" href="https://example.com/">')

    assert list(faults_of(tmp_path)) == [
        "a.html: c.html leads nowhere",
        "a.html: x.png leads nowhere",
        "b.html: fetches https://example.com/x.js from another host",
    ]


def test_a_diagram_that_a_script_of_another_host_would_draw_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.md").write_text("```mermaid\nflowchart TD\n```\n")
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "STAGED", tmp_path / "staged")
    monkeypatch.setattr(build, "sources", lambda: ["a.md"])

    with pytest.raises(build.BuildFailed, match="this Mermaid"):
        build.stage()


def test_a_part_of_a_file_is_copied_by_the_names_that_it_defines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.py").write_text('"""What it is."""\n\nx = 1\ny: int = 2\n\n\n@print\ndef z() -> None:\n    pass\n')
    monkeypatch.setattr("handbook.made.ROOT", tmp_path)

    assert copied("a.py", "z,x") == "x = 1\n\n\n@print\ndef z() -> None:\n    pass\n"
    assert copied("a.py", None).startswith("x = 1\n")
    (tmp_path / "b.py").write_text("if True:\n    # [part]\n    y = 2\n\n    # [/part]\n")
    assert copied("b.py", "part") == "y = 2\n"
    with pytest.raises(ValueError, match="defines no other"):
        copied("a.py", "x,other")


def sentences(text: str) -> set[str]:
    """The long sentences of a page, without code, tables and links' targets."""
    prose = re.sub(r"```.*?```|^\|.*?$|^ {4}.*?$", "", text, flags=re.DOTALL | re.MULTILINE)
    prose = re.sub(r"\]\([^)]*\)", "]", prose)
    found = (" ".join(part.split()) for part in re.split(r"(?<=[.:])\s+(?=[A-Z`*\[])|\n\n|\n- ", prose))
    return {sentence for sentence in found if len(sentence.split()) >= LEAST_WORDS}


def test_no_long_sentence_is_said_on_two_pages() -> None:
    places = defaultdict(set)
    for path in PAGES:
        text = path.read_text()
        for sentence in sentences(text) if MADE_MARK not in text else ():
            places[sentence].add(path.name)

    assert {sentence: sorted(names) for sentence, names in places.items() if len(names) > 1} == {}
