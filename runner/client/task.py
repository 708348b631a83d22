"""Task: a function that can be submitted, with the types of its own signature."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import update_wrapper
from typing import Any, Generic, Never, ParamSpec, Self, TypeVar, cast

from runner.client import at_use, direct_call
from runner.client.blocking import Blocking, door
from runner.client.handle import BlockingHandle, JobHandle
from runner.client.hooked import Hooked
from runner.client.parents import Parents, parent_ids
from runner.jobs import Foresight, Hooks, JobOptions, OnFailure, PriorityName, Submission, TaskDefinition, UniqueOption, checked_policy

P = ParamSpec("P")
R = TypeVar("R")


class Task(Hooked, Generic[P, R]):
    """A registered function. `submit` makes a job of a call; calling the task runs the function in this process, without queue or limits.

    It is an `AsyncTask` or a `PlainTask`, which differ in such a call alone. FastAPI's BackgroundTasks and Depends call it too.
    """

    __name__: str

    def __init__(
        self,
        definition: TaskDefinition,
        submit: Callable[[Submission[R]], Awaitable[JobHandle[R]]],
        options: JobOptions = JobOptions(),
        *,
        jobs: "Callable[[], at_use.StoredJobs]",
        foresee: Callable[[Submission[R]], Awaitable[Foresight]],
    ) -> None:
        # Its name and signature are those of the function, for those who ask a callable: FastAPI's dependencies and routes, documentation.
        callable_task: Any = self  # the classes of both kinds are
        update_wrapper(callable_task, definition.function, updated=())
        vars(self).setdefault("__name__", definition.spec.name)
        if definition.injection is not None:
            callable_task.__signature__ = definition.injection.signature(definition.function)
        self.definition = definition
        self._submit = submit
        self._foresee = foresee
        self._options = options
        self._jobs = jobs

    @property
    def _hooks(self) -> Hooks:
        return self.definition.hooks

    @property
    def name(self) -> str:
        """What producers call it."""
        return self.definition.spec.name

    def with_options(
        self,
        *,
        id: str | None = None,
        priority: PriorityName | None = None,
        delay: float | None = None,
        run_at: datetime | None = None,
        cost: Mapping[str, int] | None = None,
        max_wait: float | None = None,
        deadline: float | None = None,
        pool: str | None = None,
        unique: UniqueOption | None = None,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        batch: str | None = None,
        **unknown: Never,
    ) -> Self:
        """The same task with options for its next submissions; see `JobOptions`. Raises `InvalidOption` for one that there is not."""
        own = self._options
        return self._with(
            JobOptions(
                id,
                priority,
                delay,
                run_at,
                cost,
                max_wait,
                deadline,
                pool,
                unique,
                tags,
                metadata,
                own.after,
                own.on_failure,
                batch,
                **unknown,
            )
        )

    def after(self, *jobs: Parents, on_failure: OnFailure = "cancel") -> Self:
        """The same task for jobs that come after others: `await parse.after(fetched).submit(url)`.

        jobs: handles or ids of jobs of this queue, or several of them in an iterable. The job is held until all of them have ended, and reads what they
        returned by `current_job().parents()`. on_failure: what becomes of it when one of them does not succeed: "cancel" it, "fail" it as a dead
        letter, or "run" it when all have ended, however. Raises `InvalidOption`; the submission raises `UnknownParent`.
        """
        parents = parent_ids(jobs, self._jobs())
        return self._with(self._options._replace(after=parents, on_failure=checked_policy(on_failure)))

    def _with(self, options: JobOptions) -> Self:
        return type(self)(self.definition, self._submit, options, jobs=self._jobs, foresee=self._foresee)

    def prepare(self, *args: P.args, **kwargs: P.kwargs) -> Submission[R]:
        """Check a call and make it a submission, without sending it: for `Runner.submit_many`. Raises `SubmissionRefused`."""
        return self.definition.prepare(args, kwargs, self._options)

    async def submit(self, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]:
        """Submit one job. Raises `SubmissionRefused` (nothing is stored) or `StoreUnavailable`."""
        return await self._submit(self.definition.prepare(args, kwargs, self._options))

    async def foresee(self, *args: P.args, **kwargs: P.kwargs) -> Foresight:
        """What would become of a job that is submitted now, and when it would start and end: nothing is stored. Raises what `submit` would."""
        return await self._foresee(self.definition.prepare(args, kwargs, self._options))

    @property
    def blocking(self) -> "BlockingTask[P, R]":
        """The same for code without an event loop: `charge.blocking.submit("o-17")`."""
        return BlockingTask(self)


class BlockingTask(Blocking, Generic[P, R]):
    """A `Task` for code without an event loop: scripts, Flask, Django, plain tasks."""

    __slots__ = ()
    _of: Task[P, R]

    def submit(self, *args: P.args, **kwargs: P.kwargs) -> BlockingHandle[R]:
        """Submit one job, see `Task.submit`. Raises `ConfigurationError` in a thread whose event loop runs: nothing is sent then."""
        return door.call(lambda: self._of.submit(*args, **kwargs)).blocking

    def foresee(self, *args: P.args, **kwargs: P.kwargs) -> Foresight:
        """What would become of a job that is submitted now, see `Task.foresee`."""
        return door.call(lambda: self._of.foresee(*args, **kwargs))


class AsyncTask(Task[P, R]):
    """The task of an async function."""

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function itself, in this process, with its dependencies, without queue or limits."""
        return cast("R", await direct_call.call(self.definition, args, kwargs))


class PlainTask(Task[P, R]):
    """The task of a plain function."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function itself, in this process and thread, with its dependencies, without queue or limits."""
        return cast("R", direct_call.call_plain(self.definition, args, kwargs))


def options_of(task: Task[..., Any]) -> JobOptions:
    """The options of its next submissions, for the rest of this room."""
    return task._options  # noqa: SLF001 - private to users, who have `with_options`
