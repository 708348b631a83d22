"""Hooked: how functions are registered that are told what becomes of jobs, of an app or of one task; and the call of those at a submission."""

import logging
from collections.abc import Callable
from typing import TypeVar

from runner.foreign import indented
from runner.jobs import DeadLetter, FailedAttempt, Finished, Hooks, NewJob, Submission, checked_hook, encoded_metadata, metadata_in
from runner.traces import trace_of

log = logging.getLogger("runner")

R = TypeVar("R")
S = TypeVar("S", bound=Callable[[NewJob], object])
F = TypeVar("F", bound=Callable[[FailedAttempt], object])
D = TypeVar("D", bound=Callable[[DeadLetter], object])
E = TypeVar("E", bound=Callable[[Finished], object])


class Hooked:
    """What has hooks. An error in one is logged with the job's id and changes nothing; each is called at most once for what it is told."""

    @property
    def _hooks(self) -> Hooks:
        raise NotImplementedError

    def on_submit(self, hook: S) -> S:
        """Call a plain function with each `NewJob` before it is sent by this app's code; it may add to its `metadata`."""
        self._hooks.on_submit.append(checked_hook("on_submit", hook))
        return hook

    def on_failure(self, hook: F) -> F:
        """Call a function, plain or async, with each `FailedAttempt` in a worker of this app."""
        self._hooks.on_failure.append(checked_hook("on_failure", hook))
        return hook

    def on_dead_letter(self, hook: D) -> D:
        """Call a function, plain or async, with each `DeadLetter` that an attempt in a worker of this app has come to."""
        self._hooks.on_dead_letter.append(checked_hook("on_dead_letter", hook))
        return hook

    def on_finish(self, hook: E) -> E:
        """Call a function, plain or async, with each job that has `Finished` in a worker of this app."""
        self._hooks.on_finish.append(checked_hook("on_finish", hook))
        return hook


def with_metadata(job: Submission[R], hooks: Hooks, own: Hooks | None) -> Submission[R]:
    """The job with what these hooks give it."""
    if not (hooks.on_submit or (own is not None and own.on_submit)):
        return job
    called = [*hooks.on_submit, *(own.on_submit if own is not None else ())]
    metadata = metadata_in(job.metadata)
    for hook in called:
        given = dict(metadata)
        try:
            hook(NewJob(job, given))
            encoded_metadata(given)
        except Exception as error:  # noqa: BLE001 - a hook changes nothing
            log.error("hook on_submit of job %s failed, and gives it nothing:\n%s", job.id, indented(trace_of(error)))
        else:
            metadata = given
    return job._replace(has_call=max(job.has_call, 2), metadata=encoded_metadata(metadata)) if metadata else job
