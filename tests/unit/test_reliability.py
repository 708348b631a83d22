"""The table of faults: every case is there, with tests that carry its marker, or the reason why there is none."""

import ast
import json
import re

import pytest

from tests.chaos import report
from tests.unit.test_docs import Row, table

TEXT = report.DOCUMENT.read_text()
CASES = [f"F{number:02}" for number in range(1, 44)]


def fault_rows() -> dict[str, Row]:
    return {row.cells[0]: row for row in table(TEXT, "case")}


def test_every_case_is_explained() -> None:
    rows = fault_rows()

    assert [case for case in rows if case.startswith("F")] == CASES
    assert [case for case in rows if case not in CASES] == [f"X{number:02}" for number in range(1, len(rows) - len(CASES) + 1)]
    assert [case for case, row in rows.items() if not all(row.cells)] == []


def test_the_tests_of_each_case_are_those_that_carry_its_marker() -> None:
    """Mended by `python -m tests.chaos.report`, and a row of the table of faults for a case that is new."""
    tests = report.marked_tests()
    documented = {case: re.findall(r"`([^`]+)`", cells[0]) for case, cells in report.rows_of(TEXT).items()}

    assert documented == tests, f"run {report.COMMAND}"
    assert [case for case in tests if case not in fault_rows()] == []


def test_a_case_without_a_test_has_its_reason() -> None:
    untested = set(fault_rows()) - set(report.marked_tests())

    assert untested == {case for case, row in fault_rows().items() if row.cells[2].startswith("not injected here:")}


def test_what_was_measured_is_summed_up_by_case() -> None:
    lines: list[dict[str, object]] = [
        {"case": "F01", "seconds": seconds, "bound_s": bound} for seconds, bound in ((1.0, 5.3), (3.0, 5.3), (2.0, 8))
    ]
    lines.append({"case": "F08", "seconds": None, "bound_s": None})

    assert report.measured(map(json.dumps, lines)) == {"F01": ["3", "2.00 s", "3.00 s", "5.3 s, 8 s"], "F08": ["1", "", "", ""]}


def test_a_new_table_keeps_what_was_not_measured_again() -> None:
    old = f"above\n\n{report.HEADER}\n{report.RULE}\n| F01 | `a` | 3 | 1 s | 2 s | 5 s |\n| F02 | `b` | 1 | 1 s | 1 s | 5 s |\n\nbelow\n"

    new = report.rendered(old, {"F01": ["a", "c"], "F03": ["d"]}, {"F03": ["9", "", "", ""]})

    assert report.rows_of(new) == {"F01": ["`a`<br>`c`", "3", "1 s", "2 s", "5 s"], "F03": ["`d`", "9", "", "", ""]}
    assert new.startswith("above\n\n| case |")
    assert new.endswith("\n\nbelow\n")
    assert report.rendered(new, {"F01": ["a", "c"], "F03": ["d"]}, {}) == new


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('@pytest.mark.fault("F01", bound_s=1)\nasync def test_a(): ...', {("F01", "test_a")}),
        ('@pytest.mark.fault("F01")\n@pytest.mark.fault("F02")\ndef test_a(): ...', {("F01", "test_a"), ("F02", "test_a")}),
        ('@pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.fault("F03"))])\ndef test_a(x): ...', {("F03", "test_a")}),
        ('P = [pytest.param(1, marks=pytest.mark.fault("F04"))]\nP += []\n@parametrize("x", P)\ndef test_a(x): ...', {("F04", "test_a")}),
        ('pytestmark = [pytest.mark.fault("F05")]\ndef test_a(): ...\ndef helper(): ...', {("F05", "test_a")}),
        ("@pytest.mark.slow\ndef test_a(): ...", set()),
    ],
)
def test_markers_are_found_wherever_they_stand(source: str, expected: set[tuple[str, str]]) -> None:
    assert report._faults_in(ast.parse(source)) == expected
