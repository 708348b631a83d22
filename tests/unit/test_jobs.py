"""Job ids, states and the values that travel with a job."""

import re

import pytest

from runner.errors import InvalidJobId
from runner.jobs.job import FINAL, Ending, State, check_job_id, new_job_id


def test_a_new_id_is_random_and_can_be_used() -> None:
    ids = {new_job_id() for _ in range(1000)}

    assert len(ids) == 1000
    assert all(re.fullmatch("[0-9a-f]{20}", job_id) and check_job_id(job_id) == job_id for job_id in ids)


@pytest.mark.parametrize("job_id", ["a", "order:17", "A.b_c-9:", "x" * 128])
def test_an_id_of_plain_characters_is_accepted(job_id: str) -> None:
    assert check_job_id(job_id) == job_id


@pytest.mark.parametrize("job_id", ["", "x" * 129, "a b", "a/b", "a;b", "{a}", "ä", "a\n", "\n", "a\x00", "x" * 100_000])
def test_any_other_id_is_refused_and_shown_shortened(job_id: str) -> None:
    message = f"job id {job_id!r:.42} cannot be used: give 1 to 128 letters, digits, '.', '_', ':' or '-'"
    with pytest.raises(InvalidJobId, match=f"^{re.escape(message)}$"):
        check_job_id(job_id)


def test_final_states_are_those_a_job_never_leaves() -> None:
    assert {state for state in State if state.is_final} == set(FINAL) == {"succeeded", "failed", "cancelled", "expired"}


def test_every_ending_is_known_to_the_script_that_records_it() -> None:
    known = {"succeeded", "failed", "retry", "throttled", "cancelled", "returned", "amended", "unknown", "busy", "refused"}
    assert set(Ending) == known
