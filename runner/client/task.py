"""Task: a function that can be submitted, with the types of its own signature."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Generic, ParamSpec, TypeVar

from runner.client.handle import JobHandle
from runner.jobs import JobOptions, Submission, TaskDefinition

P = ParamSpec("P")
R = TypeVar("R")


class Task(Generic[P, R]):
    """A registered function. Calling it runs the function in this process; `submit` makes a job of the call."""

    def __init__(
        self,
        definition: TaskDefinition,
        submit: Callable[[Submission], Awaitable[JobHandle[R]]],
        options: JobOptions = JobOptions(),
    ) -> None:
        self.definition = definition
        self._submit = submit
        self._options = options
        self.__doc__ = definition.function.__doc__

    @property
    def name(self) -> str:
        """What producers call it."""
        return self.definition.spec.name

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Run the function itself, in this process, without queue or limits."""
        return self.definition.function(*args, **kwargs)

    def with_options(
        self,
        *,
        id: str | None = None,
        priority: str | None = None,
        delay: float | None = None,
        run_at: datetime | None = None,
        cost: Mapping[str, int] | None = None,
        max_wait: float | None = None,
    ) -> "Task[P, R]":
        """The same task with options for its next submissions; see `JobOptions`."""
        return Task(self.definition, self._submit, JobOptions(id, priority, delay, run_at, cost, max_wait))

    def prepare(self, *args: P.args, **kwargs: P.kwargs) -> Submission:
        """Check a call and make it a submission, without sending it: for `Runner.submit_many`. Raises `SubmissionRefused`."""
        return self.definition.prepare(args, kwargs, self._options)

    async def submit(self, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]:
        """Submit one job. Raises `SubmissionRefused` (nothing is stored) or `StoreUnavailable`."""
        return await self._submit(self.definition.prepare(args, kwargs, self._options))
