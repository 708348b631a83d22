"""Completer: delivers outcomes to Redis. All that gather during one call go together in the next (group commit)."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable

from runner.clock import monotonic_s
from runner.errors import ClientClosed, NotPermitted, OutcomeRefused, ResultUndeliverable, StoreUnavailable
from runner.jobs import Ending, Outcome
from runner.log_throttle import LogThrottle
from runner.store import MOST_SMALL, Claims, FinishAnswer, FinishAnswers, decoded, fitting_outcomes
from runner.telemetry import WorkerCounts
from runner.worker.active_jobs import ActiveJobs
from runner.worker.freeze_log import FreezeLog
from runner.worker.large_outcomes import LargeOutcomes
from runner.worker.lateness import Lateness
from runner.worker.outcomes import defeat
from runner.worker.redis_pause import RETRY_S

log = logging.getLogger("runner")


class Completer:
    """The outcomes that one worker has not delivered yet. It drops none: while Redis is away they wait here.

    Nothing that comes from one outcome holds up the others: one that Redis refuses becomes a dead letter with the reason, and one that
    takes long to send goes beside them.
    """

    def __init__(
        self,
        store: Claims,
        worker: str,
        active_jobs: ActiveJobs,
        accepted: Callable[[Outcome], None] | None = None,
        counts: WorkerCounts | None = None,
        lateness: Lateness | None = None,
    ) -> None:
        self._counts = counts
        self._lateness = lateness
        self._store = store
        self._worker = worker
        self._accepted = accepted
        self._active_jobs = active_jobs
        self._ttl_ms = store.settings.failed_ttl_ms
        self._pending: list[Outcome] = []
        self._alone = 0
        """So many at the head of `pending` go one by one: a call with all of them was refused."""
        self._added = asyncio.Event()
        self.delivered = asyncio.Event()
        """Redis has confirmed every outcome recorded so far."""
        self.delivered.set()
        self.failed = asyncio.Event()
        """The last call that has ended got no answer, and none is under way since."""
        self._large = LargeOutcomes(self._send, self._settle, self._give_up, store.longest_s)
        self._outage = LogThrottle()
        self._freezes = FreezeLog()
        self._undelivered = 0
        self.counts: Counter[str] = Counter()

    def record(self, outcome: Outcome) -> None:
        """Deliver this outcome soon, if it is the first one of its attempt; a later one does not count."""
        if self._active_jobs.record_once(outcome.job):
            self._undelivered += 1
            self.delivered.clear()
            if len(outcome.payload) > MOST_SMALL:
                self._large.add(outcome)
            else:
                self._add(outcome)

    async def run(self) -> None:
        """Deliver until cancelled; it may be run again then."""
        self._added.set()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._large.run(), name="large outcomes")
            while True:
                await self._added.wait()
                self._added.clear()
                while self._pending:
                    await self._deliver_next()

    @property
    def undelivered(self) -> int:
        """Outcomes that Redis has not confirmed."""
        return self._undelivered

    @property
    def longest_s(self) -> float:
        """How long it takes to send the large ones of them, at most."""
        return self._large.longest_s

    def _add(self, outcome: Outcome) -> None:
        self._pending.append(outcome)
        self._added.set()

    def _give_up(self, outcome: Outcome, error: ResultUndeliverable) -> None:
        log.error("job %s (%s) becomes a dead letter: %s", outcome.job.id, outcome.job.task, error)
        self._add(defeat(outcome, Ending.failed, error, self._ttl_ms)._replace(settled=outcome.settled))

    async def _deliver_next(self) -> None:
        count = 1 if self._alone else fitting_outcomes(self._pending)
        batch = self._pending[:count]
        answers = await self._send(batch)
        if answers is None:
            await asyncio.sleep(RETRY_S)
        elif isinstance(answers, str) and count > 1:
            self._alone = count
        else:
            del self._pending[:count]
            self._alone = max(self._alone - count, 0)
            self._large.note_small_delivered()
            for place, outcome in enumerate(batch):
                self._settle(outcome, answers, place)

    async def _send(self, batch: list[Outcome]) -> FinishAnswers | str | None:
        """Redis's answers; None if it cannot be asked now, or why it refuses the call as a whole."""
        self.failed.clear()
        try:
            answers = await self._store.finish(self._worker, batch)
        except (StoreUnavailable, NotPermitted) as error:
            if self._outage.is_due(monotonic_s()):
                log.warning("%d outcomes wait for Redis: %s", self._undelivered, error)
            self.failed.set()
            return None
        except ClientClosed:
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one outcome must not end the worker
            return f"{type(error).__name__}: {error}"
        self._outage.is_over()
        for job, bucket, tokens in answers.not_charged:
            log.warning(
                "job %s has settled %d tokens more than the debt that bucket %s may have: these are not charged; "
                'check the number, or declare its limit with debt="kept"',
                *(job, tokens, bucket),
            )
        if answers.times:
            self._note_times(batch, answers)
        throttled = {freeze.job: freeze for freeze in answers.throttled}
        for outcome in batch if throttled else ():
            if outcome.ending is Ending.throttled and outcome.job.id in throttled:
                self._freezes.note(outcome, throttled[outcome.job.id])
        return answers

    def _note_times(self, batch: list[Outcome], answers: FinishAnswers) -> None:
        jobs = {outcome.job.id: outcome.job for outcome in batch}
        for job_id, started_us, due_us in answers.times:
            job = jobs[decoded(job_id)]
            if self._counts is not None:
                self._counts.note_times(job, started_us, due_us)
            if self._lateness is not None:
                self._lateness.note_start(job, started_us)

    def _settle(self, outcome: Outcome, answers: FinishAnswers | str, place: int) -> None:
        """What Redis has said of one outcome."""
        refusal = answers if isinstance(answers, str) else answers.refusals.get(place)
        if refusal is not None and outcome.ending is not Ending.refused:
            log.error("the outcome of job %s (%s) is refused, so it becomes a dead letter: %s", outcome.job.id, outcome.job.task, refusal)
            # Nothing is settled: that may be what was refused.
            self._add(
                defeat(outcome, Ending.refused, OutcomeRefused(f"its outcome ({outcome.ending}) was refused: {refusal}"), self._ttl_ms)
            )
            return
        if refusal is not None:
            log.error("job %s (%s) cannot be ended: %s", outcome.job.id, outcome.job.task, refusal)
        answer = FinishAnswer.refused if isinstance(answers, str) else answers[place]
        self._active_jobs.confirm(outcome.job)
        self.counts[answer] += 1
        self.counts[outcome.ending] += 1
        if answer is FinishAnswer.accepted:
            if self._accepted is not None:
                self._accepted(outcome)
            if self._counts is not None:
                self._counts.note_accepted(outcome)
        elif answer is FinishAnswer.stale:
            log.warning("outcome of job %s attempt %d came too late and was refused", outcome.job.id, outcome.job.attempt)
        self._undelivered -= 1
        if not self._undelivered:
            self.delivered.set()
