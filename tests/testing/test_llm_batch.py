"""examples/llm_batch in virtual time, with a provider that counts on the same clock: so no call may come a millisecond too early."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from examples.llm_batch import tasks
from examples.llm_batch.batch import Answers, AnswersTaken, Prompt, answered, answers_in, asked_again
from examples.llm_batch.provider import Provider
from examples.llm_batch.tasks import jobs
from examples.local_server import serving
from runner import JobFailed
from runner.testing import TestQueue

MakeQueue = Callable[..., TestQueue]
PROMPTS = [Prompt(f"p{n}", f"Is it good? {'It came late. ' * (n % 20) * 2}{n}") for n in range(110)]


@asynccontextmanager
async def provider_of(queue: TestQueue, monkeypatch: pytest.MonkeyPatch, **options: float) -> AsyncIterator[Provider]:
    """It permits just what the limits of the example do: a burst of one second."""
    numbers = {"saved_s": 1, "failing": 0, "others_at": 0, "thinks_s": 0, **options}
    provider = Provider(tasks.requests_a_minute, tasks.tokens_a_minute, clock=lambda: queue.seconds, **numbers)  # type: ignore[arg-type] # by name
    async with serving(provider) as url:
        monkeypatch.setenv("LLM_URL", f"{url}/v1")
        yield provider


async def asked(path: Path, prompts: list[Prompt] = PROMPTS, name: str = "test") -> list[JobFailed]:
    with answers_in(path) as answers:
        return [failure async for failure in answered(name, prompts, answers) if failure is not None]


async def test_every_prompt_is_answered_once_and_no_request_is_refused(
    test_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with test_queue(jobs) as queue, provider_of(queue, monkeypatch, failing=20) as provider:
        assert await asked(tmp_path / "answers.jsonl") == []
        bill = await provider.bill()

        assert set(provider.answers.values()) == {1}
        assert len(provider.answers) == len(PROMPTS)
        assert bill["refused"] == 0
        assert bill["errors"] > 0
        assert bill["requests"] == len(PROMPTS) + bill["errors"]
        with answers_in(tmp_path / "answers.jsonl") as answers:
            assert answers.ids == {prompt.id for prompt in PROMPTS}
            assert answers.used.prompt_tokens == bill["prompt_tokens"]
            assert answers.used.completion_tokens == bill["completion_tokens"]


async def test_tokens_that_were_not_used_go_back(test_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with test_queue(jobs) as queue, provider_of(queue, monkeypatch) as provider:
        await asked(tmp_path / "answers.jsonl", PROMPTS[:40])
        (limit,) = [one for one in await jobs.client.limits() if one.name == tasks.tokens.name]
        used = provider.counts["prompt_tokens"] + provider.counts["completion_tokens"]

        came_back = int(queue.seconds * tasks.tokens_a_minute / 60)
        assert not limit.buckets or limit.buckets[0].tokens >= min(tasks.tokens.capacity, tasks.tokens.capacity - used + came_back)


async def test_while_others_use_the_tokens_up_all_wait_and_no_retry_is_used(
    test_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with test_queue(jobs) as queue, provider_of(queue, monkeypatch, others_at=20) as provider:
        assert await asked(tmp_path / "answers.jsonl", PROMPTS[:50]) == []

        assert provider.counts["refused"] > 0
        assert sum(job.throttled for job in queue.jobs()) == provider.counts["refused"]
        assert sum(job.failures for job in queue.jobs()) == 0


async def test_a_prompt_that_the_provider_refuses_is_tried_once(
    test_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with test_queue(jobs) as queue, provider_of(queue, monkeypatch) as provider:
        monkeypatch.setattr(tasks, "MODEL", None)
        (failure,) = await asked(tmp_path / "answers.jsonl", PROMPTS[:1])

        assert "422" in str(failure)
        assert provider.counts["requests"] == 0
        assert queue.jobs()[0].attempt == 1


async def test_what_was_answered_is_not_asked_again(test_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with test_queue(jobs) as queue, provider_of(queue, monkeypatch) as provider:
        first = tmp_path / "answers.jsonl"
        await asked(first, PROMPTS[:30])
        lines = first.read_text().splitlines(keepends=True)
        first.write_text("".join(lines[:20]) + lines[20][:15])  # killed as it wrote the 21st
        await asked(first, PROMPTS[:60])

        assert provider.counts["requests"] == 60
        with answers_in(first) as answers:
            assert answers.ids == {prompt.id for prompt in PROMPTS[:60]}


async def test_prompts_that_failed_are_asked_once_more_where_that_is_asked_for(
    test_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with test_queue(jobs) as queue, provider_of(queue, monkeypatch) as provider:
        path = tmp_path / "answers.jsonl"
        monkeypatch.setattr(tasks, "MODEL", None)
        assert len(await asked(path, PROMPTS[:3])) == 3
        monkeypatch.setattr(tasks, "MODEL", "small-1")
        assert len(await asked(path, PROMPTS[:3])) == 3, "they stay as they are"

        assert await asked_again("other") == 0
        assert await asked_again("test") == 3
        assert await asked(path, PROMPTS[:3]) == []
        assert provider.counts["answered"] == 3


async def test_a_call_that_takes_too_long_is_tried_again(test_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with test_queue(jobs) as queue, provider_of(queue, monkeypatch) as provider:
        answer = tasks.Completion.model_validate_json
        late = iter([TimeoutError("it took too long")])

        def read(content: bytes) -> tasks.Completion:
            for error in late:
                raise error
            return answer(content)

        monkeypatch.setattr(tasks.Completion, "model_validate_json", read)
        assert await asked(tmp_path / "answers.jsonl", PROMPTS[:1]) == []
        assert (queue.jobs()[0].attempt, provider.counts["requests"]) == (2, 2)


def test_two_runs_do_not_write_one_file(tmp_path: Path) -> None:
    with answers_in(tmp_path / "answers.jsonl") as answers:
        assert isinstance(answers, Answers)
        with pytest.raises(AnswersTaken, match="another run writes"), answers_in(tmp_path / "answers.jsonl"):
            pass
