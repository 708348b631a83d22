"""A batch: the prompts of a file through the task, each answer into another file as it comes. Begun again, it goes on where it was.

Two things remember what is done: the file of answers, and the queue, where the job of a prompt has its id. So a prompt that was answered
is never sent again, whether the batch was stopped before or after its answer came into the file.
"""

import fcntl
import json
from collections.abc import AsyncGenerator, Generator, Iterable, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import NamedTuple, TextIO

from examples.llm_batch.tasks import Completion, Usage, complete, jobs, most_tokens
from runner import JobFailed, JobFilter

EUR_A_PROMPT_TOKEN = 0.15e-6
EUR_AN_ANSWER_TOKEN = 0.60e-6

Item = tuple[str, str, int]
"""The arguments of one call of `complete`."""


class Prompt(NamedTuple):
    """A line of the file of prompts."""

    id: str
    text: str


class AnswersTaken(Exception):
    """Another run writes this file."""


class Answers:
    """The file of answers, a JSON line for each, and what they have cost."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.ids = set[str]()
        self.used = Usage()
        end = 0
        while (line := file.readline()).endswith("\n"):
            end = file.tell()
            row = json.loads(line)
            self._count(row["id"], Usage.model_validate(row["usage"]))
        file.seek(end)
        file.truncate()  # the last line of a run that was killed as it wrote

    @property
    def eur(self) -> float:
        return self.used.prompt_tokens * EUR_A_PROMPT_TOKEN + self.used.completion_tokens * EUR_AN_ANSWER_TOKEN

    def add(self, prompt_id: str, completion: Completion) -> None:
        row = {"id": prompt_id, "answer": completion.text, "usage": completion.usage.model_dump()}
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()
        self._count(prompt_id, completion.usage)

    def _count(self, prompt_id: str, usage: Usage) -> None:
        self.ids.add(prompt_id)
        self.used.prompt_tokens += usage.prompt_tokens
        self.used.completion_tokens += usage.completion_tokens


@contextmanager
def answers_in(path: Path) -> Generator[Answers]:
    """The answers that a file has, and those to come, for one run at a time. Raises `AnswersTaken`."""
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AnswersTaken(f"another run writes {path}: wait for it, or give this one another file by --out") from None
        file.seek(0)
        yield Answers(file)


async def asked_again(name: str) -> int:
    """Let the prompts of the batch that have failed for good be asked once more. Returns how many there are."""
    failed = JobFilter(task=complete.name, state=("failed",), id_prefix=f"{name}-")
    bulk = await jobs.client.bulk.begin("retry", failed, reason="the batch is begun again")
    bulk = await jobs.client.bulk.counted(bulk.id)
    if not bulk.counted:
        await jobs.client.bulk.stop(bulk.id)
        return 0
    await jobs.client.bulk.confirm(bulk.id, bulk.counted)
    return (await jobs.client.bulk.wait(bulk.id)).done


async def answered(name: str, prompts: Iterable[Prompt], answers: Answers) -> AsyncGenerator[JobFailed | None]:
    """Ask what has no answer yet, and keep each as it comes: None for one more, or why a prompt has got none."""
    items: Iterator[Item] = ((one.id, one.text, most_tokens(one.text)) for one in prompts if one.id not in answers.ids)
    async with aclosing(jobs.map(complete, items, id=name + "-{prompt_id}")) as results:
        async for done in results:
            try:
                answers.add(done.item[0], done.result())
            except JobFailed as error:
                yield error
            else:
                yield None
