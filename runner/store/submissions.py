"""Submissions: accepts jobs as far as there is room for them, in Redis's memory and under the queue's cap."""

from collections.abc import Iterator, Sequence

from runner.connection import command, translated_errors
from runner.errors import BacklogFull, StoreFull
from runner.jobs import Acceptance, OtherJob, Submission
from runner.store import replies
from runner.store.portions import MOST_PER_CALL, fitting, portions, weights_of
from runner.store.queue import QueueStore, run_length_encoded

MOST_WHOLE = 1_000
"""Jobs of a batch that is stored whole even if the memory of Redis fills up after its first call."""

_NO_CAP = -1
_FEATURES_ENTRY_BYTES = 100
MOST_KNOWN = 32
"""Pools of a queue besides the default one, as known_pools.lua counts them."""


class Submissions(QueueStore):
    """The role of a producer. Repeating a submission is safe: a job that exists is answered as such, even when there is no room for others."""

    async def submit(self, jobs: Sequence[Submission], most_backlog: int | None = None) -> list[Acceptance | OtherJob]:
        """Store a batch, for each job its first state, or that it exists, or that another has its id. `most_backlog`: a lower cap than the queue's.

        Raises `IncompatibleVersion`. Raises `BacklogFull`: nothing new was stored. Raises `StoreFull`: of up to 1,000 jobs nothing new
        was stored; of more a first part may have been, and the same submissions can be sent again.
        """
        states: list[Acceptance | OtherJob] = []
        most = self._most_backlog
        if most_backlog is not None:
            most = most_backlog if most == _NO_CAP else min(most, most_backlog)
        for part in _parts(jobs):
            if not states:
                states += await self._admit_batch(part, jobs[len(part) :], most)
            else:
                states += await self._store_whole(part, _NO_CAP, force=len(jobs) <= MOST_WHOLE)
        return states

    async def submit_each(self, jobs: Sequence[Submission]) -> list[Acceptance | OtherJob | StoreFull]:
        """Store jobs of different callers: each as long as there is room, or its own refusal. At most as many as `fitting_jobs` says."""
        memory_full: StoreFull | None = None
        try:
            accepted = await self._call(jobs, self._most_backlog)
        except StoreFull as error:
            accepted, memory_full = await self._call_without_room(jobs), error
        states: list[Acceptance | OtherJob | StoreFull] = [
            too_many_pools(self.keys.queue) if state is Acceptance.pools else state for state in accepted.states
        ]
        if accepted.backlog is None:
            return states
        backlog = accepted.backlog
        return [self._refusal(backlog, memory_full) if state is Acceptance.full else state for state in states]

    async def _admit_batch(self, first: Sequence[Submission], others: Sequence[Submission], most: int) -> list[Acceptance | OtherJob]:
        """Store the first part of a batch, if there is room for the `others` too: it decides for them, and they follow without a cap."""
        try:
            return await self._store_whole(first, most, others=len(others))
        except BacklogFull:
            # The script took all others for new, which they are not if this batch was sent before.
            existing = await self._count_existing(others)
            if not existing:
                raise
        return await self._store_whole(first, most, others=len(others) - existing)

    async def _store_whole(
        self, jobs: Sequence[Submission], most: int, *, others: int = 0, force: bool = False
    ) -> list[Acceptance | OtherJob]:
        """Store all that are new, or none: raises `BacklogFull` or `StoreFull`. `others` of the same batch need room too."""
        try:
            accepted = await self._call(jobs, most, whole=True, others=others, force=force)
        except StoreFull:
            accepted = await self._call_without_room(jobs)
            if accepted.backlog is not None:
                raise
        if accepted.backlog is not None:
            raise BacklogFull(self.keys.queue, accepted.backlog, most, others + accepted.states.count(Acceptance.full))
        if Acceptance.pools in accepted.states:
            raise too_many_pools(self.keys.queue)
        return accepted.states

    async def _call_without_room(self, jobs: Sequence[Submission]) -> replies.Accepted:
        """After a refusal for lack of memory, which wrote nothing: with no room at all the script still answers for jobs that exist."""
        return await self._call(jobs, 0)

    async def _call(
        self, jobs: Sequence[Submission], most: int, *, whole: bool = False, others: int = 0, force: bool = False
    ) -> replies.Accepted:
        rest = run_length_encoded(jobs, Submission.shared, Submission.own)
        reply = await self._run("submit", rest, force=force, count=len(jobs), most_backlog=most, whole=int(whole), following=others)
        return replies.accepted(self.keys.queue, reply, len(jobs))

    async def _count_existing(self, jobs: Sequence[Submission]) -> int:
        with translated_errors():
            return sum([int(await command(self.redis, "EXISTS", *map(self.keys.job, part))) for part in portions(job.id for job in jobs)])

    def _refusal(self, backlog: int, memory_full: StoreFull | None) -> StoreFull:
        """Why there is no room for one job. Each has an error of its own, as it is raised at another caller."""
        if memory_full is not None:
            return StoreFull(str(memory_full))
        return BacklogFull(self.keys.queue, backlog, self._most_backlog, 1)

    @property
    def _most_backlog(self) -> int:
        return self.settings.max_backlog or _NO_CAP


def too_many_pools(queue: str) -> StoreFull:
    """That a job asks for a pool which is one too many."""
    return StoreFull(
        f"queue {queue!r} has {MOST_KNOWN} pools already besides the default one, and this is another one:"
        " see them with python -m runner pools; one that is empty and unread goes after a day"
    )


def fitting_jobs(jobs: Sequence[Submission]) -> int:
    """How many of these jobs, from the first on, one call stores."""
    weights = weights_of((job.limits, job.line) for job in jobs)
    if any(job.features for job in jobs):
        weights = (weight + _weight_of_features(job) for weight, job in zip(weights, jobs, strict=True))
    return fitting((len(job.args) for job in jobs), weights)


def _weight_of_features(job: Submission) -> int:
    """As how many entries they count: they are as long as there is to do for them."""
    return 1 + len(job.features) // _FEATURES_ENTRY_BYTES if job.features else 0


def _parts(jobs: Sequence[Submission]) -> Iterator[Sequence[Submission]]:
    """What goes into each call."""
    start = 0
    while start < len(jobs):
        group = jobs[start : start + MOST_PER_CALL]
        part = group[: fitting_jobs(group)]
        start += len(part)
        yield part
