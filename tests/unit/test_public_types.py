"""Every public name, and every verb of what users hold in their hands, occurs in tests/typing, where mypy and pyright check its type."""

import inspect
import re

import pytest

import runner
from tests.unit.test_docs import ROOT

HELD = [
    *(runner.Client, runner.HttpClient, runner.Runner, runner.Task, runner.JobHandle, runner.BlockingHandle, runner.JobContext),
    *(runner.Batch, runner.BatchHandle, runner.BlockingBatchHandle, runner.Control, runner.Pauses, runner.ScheduleControl, runner.Bulks),
]
NOT_TYPED_BY_USERS = {"LONGEST_TEXT"}
READ = set(re.findall(r"\w+", "\n".join(path.read_text() for path in sorted((ROOT / "tests" / "typing").glob("*.py")))))
CALLED = set(re.findall(r"\.(\w+)", "\n".join(path.read_text() for path in sorted((ROOT / "tests" / "typing").glob("*.py")))))


def test_every_public_name_has_its_expected_type() -> None:
    assert [name for name in runner.__all__ if name not in READ] == []


@pytest.mark.parametrize("held", HELD, ids=lambda held: held.__name__)
def test_every_verb_has_its_expected_type(held: type) -> None:
    verbs = {name for name, _ in inspect.getmembers_static(held) if not name.startswith("_")} - NOT_TYPED_BY_USERS
    assert verbs
    assert sorted(verbs - CALLED) == []
