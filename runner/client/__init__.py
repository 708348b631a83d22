"""What producers and operators use: by name (Client), or with the code (Runner, Task). Submits, asks, waits, takes tokens, changes limits."""

from typing import TYPE_CHECKING

from runner.faces import at_first_use

if TYPE_CHECKING:  # see runner.faces
    from runner.client.app import BlockingRunner, Runner
    from runner.client.app_loading import configure, load_app, load_queue, pools_of
    from runner.client.asking import Asking
    from runner.client.batch import Batch, BatchHandle, BlockingBatchHandle, asked_batch
    from runner.client.batcher import Batcher
    from runner.client.beside import workers
    from runner.client.blocking import Blocking, door, through
    from runner.client.bulk import BlockingBulks, Bulks
    from runner.client.callers_client import CallersClient
    from runner.client.catalog import PublishedTask, TasksAsRead
    from runner.client.client import BlockingClient, BlockingVerbs, Client, session_of
    from runner.client.completed import Completed, Done
    from runner.client.control import BlockingControl, Control
    from runner.client.figures import figures_of
    from runner.client.handle import BlockingHandle, JobHandle, handle_of
    from runner.client.homes import Homes
    from runner.client.hooked import with_metadata
    from runner.client.job_calls import JobCalls
    from runner.client.job_request import JobRequest
    from runner.client.keys import ApiKeys, BlockingApiKeys, NewKey
    from runner.client.overlook import Overlook
    from runner.client.pauses import BlockingPauses, Pauses, end_of, pausable
    from runner.client.provider_counts import ProviderCounts
    from runner.client.publication import Publication
    from runner.client.raw_result import BlockingRawResult, RawResult
    from runner.client.reasons import checked_reason
    from runner.client.redirect import app_of, redirected
    from runner.client.relay import Relay
    from runner.client.said_times import seconds_back, seconds_said
    from runner.client.schedule_jobs import Pages, cancel_jobs_of
    from runner.client.schedules import BlockingScheduleControl, ScheduleControl
    from runner.client.scheduling import schedules_of
    from runner.client.session import Session, duplicate_of
    from runner.client.sessions import InEachLoop
    from runner.client.spending import budget_pace
    from runner.client.surrounded import hooks_of
    from runner.client.task import AsyncTask, BlockingTask, PlainTask, Task
else:
    __getattr__, __dir__ = at_first_use(
        __name__,
        {
            "app": "BlockingRunner Runner",
            "app_loading": "configure load_app load_queue pools_of",
            "asking": "Asking",
            "batch": "Batch BatchHandle BlockingBatchHandle asked_batch",
            "batcher": "Batcher",
            "beside": "workers",
            "blocking": "Blocking door through",
            "bulk": "BlockingBulks Bulks",
            "callers_client": "CallersClient",
            "catalog": "PublishedTask TasksAsRead",
            "client": "BlockingClient BlockingVerbs Client session_of",
            "completed": "Completed Done",
            "control": "BlockingControl Control",
            "figures": "figures_of",
            "handle": "BlockingHandle JobHandle handle_of",
            "homes": "Homes",
            "hooked": "with_metadata",
            "job_calls": "JobCalls",
            "job_request": "JobRequest",
            "keys": "ApiKeys BlockingApiKeys NewKey",
            "overlook": "Overlook",
            "pauses": "BlockingPauses Pauses end_of pausable",
            "provider_counts": "ProviderCounts",
            "publication": "Publication",
            "raw_result": "BlockingRawResult RawResult",
            "reasons": "checked_reason",
            "redirect": "app_of redirected",
            "relay": "Relay",
            "said_times": "seconds_back seconds_said",
            "schedule_jobs": "Pages cancel_jobs_of",
            "schedules": "BlockingScheduleControl ScheduleControl",
            "scheduling": "schedules_of",
            "session": "Session duplicate_of",
            "sessions": "InEachLoop",
            "spending": "budget_pace",
            "surrounded": "hooks_of",
            "task": "AsyncTask BlockingTask PlainTask Task",
        },
    )

__all__ = [
    "ApiKeys",
    "Asking",
    "AsyncTask",
    "Batch",
    "BatchHandle",
    "Batcher",
    "Blocking",
    "BlockingApiKeys",
    "BlockingBatchHandle",
    "BlockingBulks",
    "BlockingClient",
    "BlockingControl",
    "BlockingHandle",
    "BlockingPauses",
    "BlockingRawResult",
    "BlockingRunner",
    "BlockingScheduleControl",
    "BlockingTask",
    "BlockingVerbs",
    "Bulks",
    "CallersClient",
    "Client",
    "Completed",
    "Control",
    "Done",
    "Homes",
    "InEachLoop",
    "JobCalls",
    "JobHandle",
    "JobRequest",
    "NewKey",
    "Overlook",
    "Pages",
    "Pauses",
    "PlainTask",
    "ProviderCounts",
    "Publication",
    "PublishedTask",
    "RawResult",
    "Relay",
    "Runner",
    "ScheduleControl",
    "Session",
    "Task",
    "TasksAsRead",
    "app_of",
    "asked_batch",
    "budget_pace",
    "cancel_jobs_of",
    "checked_reason",
    "configure",
    "door",
    "duplicate_of",
    "end_of",
    "figures_of",
    "handle_of",
    "hooks_of",
    "load_app",
    "load_queue",
    "pausable",
    "pools_of",
    "redirected",
    "schedules_of",
    "seconds_back",
    "seconds_said",
    "session_of",
    "through",
    "with_metadata",
    "workers",
]
