"""How questions share calls: what is sent together, and what each learns when a call fails. The calls are answered by the test."""

import asyncio
from collections.abc import Sequence
from itertools import accumulate

import pytest

from runner.client.batcher import Batcher
from runner.errors import IncompatibleVersion, StoreUnavailable
from tests.eventually import eventually

PATIENCE_S = 5.0


class Called:
    """Notes each call, and answers when told; a question that begins with '?' has no answer."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.answers: asyncio.Queue[Exception | None] = asyncio.Queue()

    async def __call__(self, questions: Sequence[str]) -> list[str | Exception]:
        self.calls.append(list(questions))
        await asyncio.sleep(0)  # as every call to Redis lets others in
        if (error := await self.answers.get()) is not None:
            raise error
        return [LookupError(question) if question.startswith("?") else f"answer to {question}" for question in questions]


@pytest.fixture
def called() -> Called:
    return Called()


def fitting(questions: Sequence[str]) -> int:
    """Fifty questions, or a million letters."""
    return max(sum(letters <= 1_000_000 for letters in accumulate(map(len, questions[:50]))), 1)


@pytest.fixture
def batcher(called: Called) -> Batcher[str, str]:
    return Batcher(called, fitting=fitting)


def start(batcher: Batcher[str, str], *questions: str) -> list[asyncio.Task[str]]:
    return [asyncio.create_task(batcher.ask(question)) for question in questions]


async def sent(called: Called, calls: int) -> None:
    await eventually(lambda: len(called.calls) == calls)


async def queued(batcher: Batcher[str, str], questions: int) -> None:
    await eventually(lambda: len(batcher._waiting) == questions)


async def test_what_comes_while_a_call_is_under_way_goes_together_in_the_next(called: Called, batcher: Batcher[str, str]) -> None:
    first = start(batcher, "a")
    await sent(called, 1)
    later = start(batcher, "b", "c", "d")
    await queued(batcher, 3)
    called.answers.put_nowait(None)
    called.answers.put_nowait(None)
    answers = await asyncio.gather(*first, *later)
    assert called.calls == [["a"], ["b", "c", "d"]]
    assert answers == [f"answer to {name}" for name in "abcd"]
    await batcher.close()


async def test_a_question_by_itself_is_asked_at_once_and_a_cancelled_one_leaves_the_way_free(
    called: Called, batcher: Batcher[str, str]
) -> None:
    alone = start(batcher, "a")
    await sent(called, 1)
    behind = start(batcher, "b")
    await queued(batcher, 1)
    alone[0].cancel()
    called.answers.put_nowait(None)
    assert await behind[0] == "answer to b"
    assert alone[0].cancelled()
    called.answers.put_nowait(None)
    assert await asyncio.wait_for(batcher.ask("c"), PATIENCE_S) == "answer to c"
    assert called.calls == [["a"], ["b"], ["c"]]


async def test_a_call_is_bounded_in_questions_and_in_bytes(called: Called, batcher: Batcher[str, str]) -> None:
    for _ in range(7):
        called.answers.put_nowait(None)
    await asyncio.gather(*start(batcher, *(f"n{number}" for number in range(52))))
    await asyncio.gather(*start(batcher, *(letter * 600_000 for letter in "abc"), "d" * 2_000_000))
    assert [len(call) for call in called.calls] == [1, 50, 1, 1, 1, 1, 1]


async def test_a_question_without_an_answer_fails_alone(called: Called, batcher: Batcher[str, str]) -> None:
    for _ in range(2):
        called.answers.put_nowait(None)
    answers = await asyncio.gather(*start(batcher, "?first", "a", "?", "b"), return_exceptions=True)
    assert called.calls == [["?first"], ["a", "?", "b"]]
    assert (answers[1], answers[3]) == ("answer to a", "answer to b")
    assert [str(answers[index]) for index in (0, 2)] == ["?first", "?"]


async def test_when_the_store_is_away_nobody_waits_for_a_second_time_out(called: Called, batcher: Batcher[str, str]) -> None:
    first = start(batcher, "a")
    await sent(called, 1)
    behind = start(batcher, "b")
    await queued(batcher, 1)
    called.answers.put_nowait(StoreUnavailable("away"))
    async with asyncio.timeout(PATIENCE_S):
        errors = await asyncio.gather(*first, *behind, return_exceptions=True)
    assert [type(error) for error in errors] == [StoreUnavailable] * 2
    assert called.calls == [["a"]]
    again = start(batcher, "c")
    called.answers.put_nowait(None)
    assert await again[0] == "answer to c"


async def test_another_error_reaches_its_own_call_alone(called: Called, batcher: Batcher[str, str]) -> None:
    first = start(batcher, "a")
    await sent(called, 1)
    behind = start(batcher, "b")
    await queued(batcher, 1)
    called.answers.put_nowait(RuntimeError("broken"))
    called.answers.put_nowait(None)
    with pytest.raises(RuntimeError, match="broken"):
        await asyncio.wait_for(first[0], PATIENCE_S)
    assert await behind[0] == "answer to b"


async def test_a_question_that_breaks_the_call_of_several_is_found_by_asking_each(called: Called, batcher: Batcher[str, str]) -> None:
    questions = start(batcher, "a", "b", "c", "d")
    for error in (None, RuntimeError("of all"), None, RuntimeError("of c"), None):
        called.answers.put_nowait(error)
    answers = await asyncio.gather(*questions, return_exceptions=True)
    assert called.calls == [["a"], ["b", "c", "d"], ["b"], ["c"], ["d"]]
    assert [str(answer) for answer in answers] == ["answer to a", "answer to b", "of c", "answer to d"]


async def test_a_version_that_is_refused_is_refused_to_everybody_at_once(called: Called, batcher: Batcher[str, str]) -> None:
    questions = start(batcher, "a", "b", "c")
    called.answers.put_nowait(None)
    called.answers.put_nowait(IncompatibleVersion("too old"))
    answers = await asyncio.gather(*questions, return_exceptions=True)
    assert [type(answer) for answer in answers] == [str, IncompatibleVersion, IncompatibleVersion]
    assert len(called.calls) == 2


async def test_a_question_that_is_given_up_does_not_stop_the_others(called: Called, batcher: Batcher[str, str]) -> None:
    questions = start(batcher, "a", "b", "c")
    called.answers.put_nowait(None)
    await sent(called, 2)
    questions[1].cancel()
    called.answers.put_nowait(None)
    assert await questions[2] == "answer to c"
    assert questions[1].cancelled()


async def test_closing_waits_for_what_is_asked(called: Called, batcher: Batcher[str, str]) -> None:
    questions = start(batcher, "a", "b")
    called.answers.put_nowait(None)
    await sent(called, 2)
    closing = asyncio.create_task(batcher.close())
    called.answers.put_nowait(None)
    await asyncio.wait_for(closing, PATIENCE_S)
    assert await questions[1] == "answer to b"
