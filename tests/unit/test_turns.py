"""Turns: how many requests begin in one turn of the event loop, and which of them first."""

import asyncio

from runner.http.turns import MOST, Turns


async def next_turn() -> None:
    await asyncio.sleep(0)


async def test_so_many_begin_in_one_turn_and_the_others_in_the_turns_after_it() -> None:
    turns, begun = Turns(), list[int]()
    for number in range(2 * MOST + 3):
        turns.begin(lambda number=number: begun.append(number), is_known=False)  # type: ignore[misc]
    assert begun == list(range(MOST))
    await next_turn()
    assert begun == list(range(2 * MOST))
    await next_turn()
    assert begun == list(range(2 * MOST + 3))


async def test_who_has_had_an_answer_begins_before_all_who_have_just_come() -> None:
    turns, begun = Turns(), list[str]()
    for _ in range(3 * MOST):
        turns.begin(lambda: begun.append("stranger"), is_known=False)
    turns.begin(lambda: begun.append("known"), is_known=True)
    await next_turn()
    assert begun[MOST] == "known"


async def test_a_turn_that_had_room_leaves_as_much_for_the_next_one() -> None:
    turns, begun = Turns(), list[int]()
    for number in range(3):
        turns.begin(lambda: begun.append(1), is_known=False)
        await next_turn()
        assert len(begun) == number + 1
    for _ in range(MOST + 1):
        turns.begin(lambda: begun.append(1), is_known=False)
    assert len(begun) == 3 + MOST
