"""The check of a job's needs before its handler runs, where another version of the task submitted it: no job runs without its own limits."""

from collections.abc import Mapping
from typing import Any

from runner.errors import InvalidArguments, NeedsDiffer, SubmissionRefused
from runner.foreign import kind_of, text_of
from runner.jobs import StartedJob, TaskDefinition
from runner.worker.ran import Amended, Refused


def checked_needs(job: StartedJob, task: TaskDefinition, arguments: Mapping[str, Any]) -> Amended | Refused | None:
    """What becomes of a job that lacks a bucket of this version of its task; None if it has all. Raises nothing."""
    try:
        amendment = task.calls.amended(task.arguments.encode_again(arguments), job)
    except (SubmissionRefused, NeedsDiffer) as error:
        return Refused(kind_of(error), text_of(error))
    except BaseException as error:  # noqa: BLE001 - serializers are the handler's code, and nothing was awaited: no cancellation is one
        text = f"task {job.task!r}: what it needs cannot be worked out: {kind_of(error)}: {text_of(error)}"
        return Refused(InvalidArguments.__name__, text)
    return None if amendment is None else Amended(amendment)
