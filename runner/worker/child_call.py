"""ChildCall: one more way of calling a task's function, in a child process."""

from typing import Any

from runner.jobs import Attempt, ProviderSays, Reported, TaskDefinition
from runner.telemetry import recorder_here
from runner.worker.child_errors import RaisedInChild
from runner.worker.child_pool import NoChildren
from runner.worker.frames import Frame

_NOT_TOLD = ("entry", "args")
"""Of a job: its place on a stream concerns the worker alone, and the arguments go as the bytes that they are."""


class ChildCall:
    """Called like the function. A cancellation, as at a time-out, kills the child, so nothing of it goes on."""

    def __init__(self, children: NoChildren, attempt: Attempt, task: TaskDefinition) -> None:
        self._children = children
        self._attempt = attempt
        self._task = task

    async def __call__(self, **_: Any) -> Any:
        """What the function returns. The child reads the arguments by itself. Raises `ChildError`, `ChildCrashed`."""
        job = self._attempt.job
        told = {name: value for name, value in job._asdict().items() if name not in _NOT_TOLD}
        told["metadata"] = job.metadata.decode()
        head: dict[str, Any] = {"job": told}
        if (recorder := recorder_here()) is not None:
            head["trace"] = recorder.carrier()
        answer = await self._children.run(Frame(head, job.args), self._note)
        self._note(answer)
        self._attempt.take_over(answer.head["settled"])
        if "error" in answer.head:
            raise RaisedInChild(answer.head["error"])
        return self._task.arguments.result.decode(answer.body)

    def _note(self, frame: Frame) -> None:
        """What the handler has said of its progress, and at its end what its providers have said is left."""
        progress = frame.head["progress"]
        if progress is not None:
            self._attempt.note_progress(Reported(*progress))
        for bucket, said in frame.head.get("counts", {}).items():
            self._attempt.note_count(bucket, ProviderSays(*said))
