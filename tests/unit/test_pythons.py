"""The versions of Python that are claimed are those the tests ran on."""

import re
import sys
from pathlib import Path

import pytest

from bench.interpreters import interpreter_of
from tests import pythons
from tests.unit.test_docs import README, table

DOCUMENT = pythons.DOCUMENT.read_text()


def test_no_version_is_claimed_that_was_not_tested() -> None:
    tested = [row.cells[0] for row in table(DOCUMENT, "Python")]

    assert pythons.claimed() == tested
    assert re.findall(r"^Python (3\.\d+) to (3\.\d+)", README, re.MULTILINE) == [(tested[0], tested[-1])]


def test_this_interpreter_is_found_by_its_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    major, minor = sys.version_info[:2]
    name = f"python{major}.{minor}"
    shim = tmp_path / "shim" / name
    shim.parent.mkdir()
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    real = tmp_path / "versions" / "some" / "bin" / name
    real.parent.mkdir(parents=True)
    real.symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(shim.parent))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))

    assert interpreter_of(major, minor) == real
    assert interpreter_of(3, 99) is None


def test_what_passed_is_recorded_and_what_did_not_run_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pythons, "DOCUMENT", tmp_path / "document.md")
    pythons.DOCUMENT.write_text(f"above\n\n{pythons.HEADER}| 3.11 | 3.11.1 | all |\n| 3.12 | 3.12.0 | some |\n\nbelow\n")

    pythons.record({"3.12": "| 3.12 | 3.12.1 | some |", "3.13": "| 3.13 | 3.13.0 | some |"})

    rows = "| 3.11 | 3.11.1 | all |\n| 3.12 | 3.12.1 | some |\n| 3.13 | 3.13.0 | some |\n"
    assert pythons.DOCUMENT.read_text() == f"above\n\n{pythons.HEADER}{rows}\nbelow\n"
