"""The marker and the fixture of fault tests: what they accept, what they refuse, what they report."""

import json
from pathlib import Path

import pytest

from tests.recovery import Fault, Recovery, append_report, faults_of, measured_by, server_of, unmeasured


@pytest.fixture
def item(request: pytest.FixtureRequest) -> pytest.Item:
    """A test to mark: this one is as good as any."""
    assert isinstance(request.node, pytest.Item)
    return request.node


def test_a_recovery_within_its_bound_is_counted() -> None:
    recovery = Recovery(bound_s=60)
    recovery.begins()
    took_s = recovery.ends()

    assert recovery.seconds == [took_s]
    assert 0 <= took_s < 60


def test_a_recovery_beyond_its_bound_fails_and_says_by_how_much() -> None:
    recovery = Recovery(bound_s=-1)
    recovery.begins()

    with pytest.raises(AssertionError, match=r"recovered after 0\.\d\d s, 0\.\d\d s of it without a CPU; the bound is -1 s"):
        recovery.ends()


def test_a_recovery_ends_only_after_it_began() -> None:
    with pytest.raises(AssertionError, match="begins"):
        Recovery(bound_s=1).ends()


@pytest.mark.parametrize(
    "marker",
    [pytest.mark.fault(), pytest.mark.fault("F1"), pytest.mark.fault("F01", within_s=3), pytest.mark.fault("X1", 3)],
    ids=["no case", "short case", "unknown word", "short extra"],
)
def test_a_malformed_marker_is_refused(item: pytest.Item, marker: pytest.MarkDecorator) -> None:
    item.add_marker(marker)

    with pytest.raises(pytest.UsageError, match="test_a_malformed_marker_is_refused"):
        faults_of(item)
    item.own_markers.remove(marker.mark)


def test_a_stated_bound_must_be_measured(item: pytest.Item) -> None:
    markers = [pytest.mark.fault("F01", bound_s=15), pytest.mark.fault("F08")]
    for marker in markers:
        item.add_marker(marker)
    assert unmeasured(item) == ["F01"]

    (recovery,) = measured_by(item)
    recovery.begins()
    recovery.ends()

    assert recovery.bound_s == 15
    assert unmeasured(item) == []
    item.own_markers[:] = [mark for mark in item.own_markers if mark.name != "fault"]


@pytest.mark.parametrize("private_server", ["redis"])
def test_the_report_has_a_line_for_each_case_and_recovery(item: pytest.Item, tmp_path: Path, private_server: str) -> None:
    for case in ("F02", "F03"):
        item.add_marker(pytest.mark.fault(case, bound_s=5))
    (recovery,) = measured_by(item)
    for _ in range(2):
        recovery.begins()
        recovery.ends()

    append_report(tmp_path / "report", item, passed=True)

    lines = [json.loads(line) for line in (tmp_path / "report").read_text().splitlines()]
    assert [line["case"] for line in lines] == ["F02", "F02", "F03", "F03"]
    assert [line["seconds"] for line in lines] == recovery.seconds * 2
    assert lines[0] == {
        "case": "F02",
        "test": "tests/unit/test_recovery.py::test_the_report_has_a_line_for_each_case_and_recovery",
        "server": "redis",
        "seconds": recovery.seconds[0],
        "bound_s": 5,
        "passed": True,
    }
    assert server_of(item) == "redis"
    assert faults_of(item) == [Fault("F02", 5), Fault("F03", 5)]
    item.own_markers[:] = [mark for mark in item.own_markers if mark.name != "fault"]
