"""Names inside a script: its arguments, and what its includes declare."""

import pytest

from runner.store.scripts import _check_names


def test_an_include_that_hides_an_argument_is_refused() -> None:
    with pytest.raises(ValueError, match="script reconcile: argument 'leave' is hidden by an include"):
        _check_names("reconcile", ["worker", "leave"], ["local x\nlocal function leave(line)\nend"])


def test_a_declaration_inside_a_function_hides_nothing() -> None:
    _check_names("reconcile", ["worker"], ["local function leave(line)\n  local worker = line\nend"])
