"""Submissions: accepts jobs as far as there is room for them, in Redis's memory and under the queue's cap."""

from collections.abc import Iterator, Sequence

from runner.connection import command, translated_errors
from runner.errors import BacklogFull, StoreFull
from runner.jobs import Submission
from runner.store import replies
from runner.store.queue import MOST_PER_CALL, QueueStore, fitting, in_runs

MOST_WHOLE = 1_000
"""Jobs of a batch of which memory that fills up meanwhile does not store a part: the rest of a batch that was let in follows it."""

_NO_CAP = -1
_FULL = "full"


class Submissions(QueueStore):
    """New work. Repeating a submission is safe: a job that exists is answered as such, also when there is no room for others."""

    async def submit(self, jobs: Sequence[Submission]) -> list[str]:
        """For each job its first state, or 'existing' (same id and body) or 'conflict' (same id, another body).

        Raises `IncompatibleVersion`. Raises `BacklogFull`: nothing new was stored. Raises `StoreFull`: of up to 1,000 jobs nothing new
        was stored; of more a first part may have been, and the same submissions can be sent again.
        """
        answers: list[str] = []
        for part in _parts(jobs):
            if not answers:
                answered, refusal = await self._let_in(part, jobs[len(part) :])
            else:
                answered, refusal = await self._store(part, _NO_CAP, force=len(jobs) <= MOST_WHOLE)
            if refusal is not None:
                raise refusal
            answers += answered
        return answers

    async def submit_each(self, jobs: Sequence[Submission]) -> list[str | StoreFull]:
        """The same for jobs that have nothing to do with each other: each is accepted as long as there is room, or has its own refusal.

        At most as many as `fitting` says.
        """
        answers, refusal = await self._store(jobs, self.settings.max_backlog or _NO_CAP)
        if refusal is None:
            return [*answers]
        return [_of_one(refusal, self.keys.queue) if answer == _FULL else answer for answer in answers]

    async def _let_in(self, first: Sequence[Submission], behind: Sequence[Submission]) -> tuple[list[str], StoreFull | None]:
        """The first part of a batch decides for all of it."""
        most = self.settings.max_backlog or _NO_CAP
        answers, refusal = await self._store(first, most, whole=True, behind=len(behind))
        if behind and isinstance(refusal, BacklogFull):
            # Those behind were taken for new, which a batch that is sent again is not.
            with translated_errors():
                existing = await command(self.redis, "EXISTS", *[self.keys.job(job.id) for job in behind])
            if existing:
                return await self._store(first, most, whole=True, behind=len(behind) - existing)
        return answers, refusal

    async def _store(
        self, jobs: Sequence[Submission], most: int, *, whole: bool = False, behind: int = 0, force: bool = False
    ) -> tuple[list[str], StoreFull | None]:
        """For each job an answer, and why some of them are 'full'."""
        rest = in_runs((job[2:], job[:2]) for job in jobs)
        refusal: StoreFull | None = None
        try:
            answers = await self._run("submit", rest, force=force, count=len(jobs), most_backlog=most, whole=int(whole), behind=behind)
        except StoreFull as error:
            # Refused before anything was written. With no room at all the script still answers for the jobs that exist.
            answers, refusal = await self._run("submit", rest, count=len(jobs), most_backlog=0, whole=0, behind=0), error
        replies.check_versions(self.keys.queue, answers)
        if len(answers) > len(jobs):
            unended = answers.pop()
            refusal = refusal or BacklogFull(self.keys.queue, unended, most, behind + answers.count(_FULL.encode()))
            return [answer.decode() for answer in answers], refusal
        return [answer.decode() for answer in answers], None


def _of_one(refusal: StoreFull, queue: str) -> StoreFull:
    """The refusal of one among several jobs."""
    return BacklogFull(queue, refusal.backlog, refusal.most, 1) if isinstance(refusal, BacklogFull) else StoreFull(str(refusal))


def _parts(jobs: Sequence[Submission]) -> Iterator[Sequence[Submission]]:
    """What goes into each call."""
    start = 0
    while start < len(jobs):
        group = jobs[start : start + MOST_PER_CALL]
        part = group[: fitting(len(job.args) for job in group)]
        start += len(part)
        yield part
