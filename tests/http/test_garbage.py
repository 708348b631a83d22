"""When the service looks through all objects for garbage: seldom, and never because many requests wait."""

import gc
from collections.abc import Iterator

import pytest

from runner import Runner
from runner.garbage import LEAST_GROWTH, LONGEST_S, Garbage, put_off
from tests.http.conftest import serving


class Blocks:
    """Memory as a test says it is."""

    def __init__(self) -> None:
        self.taken = 2 * LEAST_GROWTH

    def __call__(self) -> int:
        return self.taken


@pytest.fixture
def looks() -> Iterator[list[int]]:
    """A line for each time that Python looked through all objects."""
    seen = list[int]()

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "stop" and info["generation"] == 2:
            seen.append(info["collected"])

    gc.callbacks.append(note)
    yield seen
    gc.callbacks.remove(note)


def grow_old(count: int = 300_000) -> list[list[int]]:
    """Objects of which Python thinks that it is time to look through all, at its own settings."""
    return [[number] for number in range(count)]


def test_python_looks_through_all_objects_only_when_it_is_told_to(looks: list[int]) -> None:
    blocks = Blocks()
    garbage = Garbage(blocks)
    before = gc.get_threshold()
    with garbage.kept_in_hand(0):
        assert len(looks) == 1
        kept = [grow_old() for _ in range(3)]
        garbage.look(LONGEST_S)
        blocks.taken *= 2
        garbage.look(LONGEST_S)
        assert len(looks) == 1
        blocks.taken += 1
        garbage.look(LONGEST_S)
        assert len(looks) == 2
        garbage.look(2 * LONGEST_S)
        assert len(looks) == 2
        kept.append(grow_old())
        garbage.look(2 * LONGEST_S + 1)
        assert len(looks) == 3
        garbage.look(4 * LONGEST_S)
        assert len(looks) == 3, "nothing has become old since"
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


async def test_what_requests_hold_is_no_reason_to_look(app: Runner, looks: list[int]) -> None:
    before = gc.get_threshold()
    async with serving(app.settings, app.queue) as service:
        del looks[:]
        kept = grow_old(LEAST_GROWTH // 2)
        assert (await service.http.get("/healthz")).status_code == 200
        assert not looks
        del kept
    assert gc.get_threshold() == before


def test_none_is_looked_for_while_it_is_put_off(looks: list[int]) -> None:
    with put_off():
        kept = [grow_old() for _ in range(3)]
        with put_off():
            assert not gc.isenabled()
        assert not gc.isenabled()
        assert not looks
    assert gc.isenabled()
    del kept


def test_a_service_within_another_one_leaves_it_to_that() -> None:
    before = gc.get_threshold()
    with Garbage().kept_in_hand(0):
        outer = gc.get_threshold()
        with Garbage().kept_in_hand(0):
            assert gc.get_threshold() == outer
        assert gc.get_threshold() == outer
    assert gc.get_threshold() == before
