"""What a job is, from the declaration of its task to the status its caller sees. Values and pure functions: no I/O, no asyncio."""

from typing import TYPE_CHECKING

from runner.faces import at_first_use

if TYPE_CHECKING:  # see runner.faces
    from runner.jobs.amendment import Amendment
    from runner.jobs.arguments import Arguments
    from runner.jobs.attempt_record import AttemptRecord
    from runner.jobs.backoff import Backoff
    from runner.jobs.budget import KEPT_DAYS, Spending, SpentBy, SpentRow, day_number, spending_of
    from runner.jobs.budget_pace import LATELY, BudgetPace, pace_of
    from runner.jobs.bulk import BulkAction, BulkPhase, BulkStatus, CountChanged, TooManyBulks, UnknownBulk
    from runner.jobs.calls import Calls
    from runner.jobs.children import Children
    from runner.jobs.context import (
        Attempt,
        JobContext,
        Ties,
        current_attempt,
        current_job,
        enter,
        enter_state,
        leave_state,
        state_of,
    )
    from runner.jobs.dependencies import Depends, Per, injected, name_of_function
    from runner.jobs.dependency_graph import FIRST_STEP, JOB, RUNNER, Overrides, Step
    from runner.jobs.event import BEGINNING, JobEvent, check_event_id
    from runner.jobs.explanation import explain
    from runner.jobs.features import of_tenant
    from runner.jobs.filter import EVERY_JOB, REASONS, DeadLetterGroup, JobCounts, JobFilter, JobPage, Within, question_of
    from runner.jobs.flow import (
        INDEXES,
        MEMBER_STATES,
        MOST_AT_ONCE,
        ON_FAILURE,
        BatchNotOpen,
        BatchProgress,
        MemberState,
        OnFailure,
        Parent,
        checked_parents,
        checked_policy,
        flow_words,
        no_result,
        waits_for_jobs,
    )
    from runner.jobs.foresight import BatchForesight, DeadlineOutOfReach, Foresight
    from runner.jobs.history import QUEUE_SERIES, HistoryRow, HistoryStep, Series, Spans, is_series, row_of, rows_of
    from runner.jobs.hooks import BudgetWarning, DeadLetter, FailedAttempt, Finished, Hook, Hooks, NewJob, checked_hook
    from runner.jobs.in_process import call_in_process
    from runner.jobs.injection import Held, Injection, Plan, call_in_thread_with, call_with
    from runner.jobs.instants import instant_s, instant_text
    from runner.jobs.job import (
        FINAL,
        TICKET,
        Acceptance,
        Ending,
        JobStatus,
        OtherJob,
        Outcome,
        Priority,
        PriorityName,
        StartedJob,
        State,
        check_job_id,
        check_queue_name,
        new_job_id,
    )
    from runner.jobs.job_error import JobError
    from runner.jobs.job_options import JobOptions, check_options
    from runner.jobs.known_id import check_known_id
    from runner.jobs.log_context import JobLogFilter
    from runner.jobs.log_lines import JsonFormatter, PlainFormatter, about
    from runner.jobs.metadata import TRACEPARENT, TRACESTATE, encoded_metadata, metadata_in, metadata_of_options
    from runner.jobs.middleware import Middleware, Next, around, checked_middleware
    from runner.jobs.named_arguments import NamedArguments, sent_by_name
    from runner.jobs.parents import BlockingJobContext, ReadParents
    from runner.jobs.pause_status import Pausable, PausableName, PauseStatus
    from runner.jobs.progress import Progress, Reported, progress_of
    from runner.jobs.provider_hook import sync_limit
    from runner.jobs.provider_says import ProviderSays, said_of
    from runner.jobs.results import Result, result_of
    from runner.jobs.retry_policy import RetryPolicy, Throttle, Verdict, verdict
    from runner.jobs.schedule import MISSED, OVERLAP, Missed, Overlap, ScheduleSpec, check_schedule_name, make_schedule, plan
    from runner.jobs.schedule_status import ComingRun, ScheduleState, ScheduleStatus
    from runner.jobs.submission import Submission, made_by_schedule, prepare
    from runner.jobs.summaries import note, summary, watched
    from runner.jobs.surroundings import NONE, Surroundings
    from runner.jobs.tags import checked_tags
    from runner.jobs.taken import Taken
    from runner.jobs.task_definition import AttemptPolicy, TaskDefinition, TaskOptions
    from runner.jobs.task_spec import TaskSpec, TaskStatus
    from runner.jobs.unique import Debounce, Unique, UniqueOption, asked_uniqueness, fields_of_unique
    from runner.jobs.used_arguments import kind_of_argument, opaque_arguments
    from runner.jobs.words import JOBS, NO_WORKER, foretold, foretold_batch, frozen, overridden, paused, paused_by, span, was_reset
else:
    __getattr__, __dir__ = at_first_use(
        __name__,
        {
            "amendment": "Amendment",
            "arguments": "Arguments",
            "attempt_record": "AttemptRecord",
            "backoff": "Backoff",
            "budget": "KEPT_DAYS Spending SpentBy SpentRow day_number spending_of",
            "budget_pace": "LATELY BudgetPace pace_of",
            "bulk": "BulkAction BulkPhase BulkStatus CountChanged TooManyBulks UnknownBulk",
            "calls": "Calls",
            "children": "Children",
            "context": "Attempt JobContext Ties current_attempt current_job enter enter_state leave_state state_of",
            "dependencies": "Depends Per injected name_of_function",
            "dependency_graph": "FIRST_STEP JOB RUNNER Overrides Step",
            "event": "BEGINNING JobEvent check_event_id",
            "explanation": "explain",
            "features": "of_tenant",
            "filter": "EVERY_JOB REASONS DeadLetterGroup JobCounts JobFilter JobPage Within question_of",
            "flow": "INDEXES MEMBER_STATES MOST_AT_ONCE ON_FAILURE BatchNotOpen BatchProgress MemberState OnFailure Parent checked_parents checked_policy flow_words no_result waits_for_jobs",
            "foresight": "BatchForesight DeadlineOutOfReach Foresight",
            "history": "QUEUE_SERIES HistoryRow HistoryStep Series Spans is_series row_of rows_of",
            "hooks": "BudgetWarning DeadLetter FailedAttempt Finished Hook Hooks NewJob checked_hook",
            "in_process": "call_in_process",
            "injection": "Held Injection Plan call_in_thread_with call_with",
            "instants": "instant_s instant_text",
            "job_error": "JobError",
            "job": "FINAL TICKET Acceptance Ending JobStatus OtherJob Outcome Priority PriorityName StartedJob State check_job_id check_queue_name new_job_id",
            "job_options": "JobOptions check_options",
            "known_id": "check_known_id",
            "log_context": "JobLogFilter",
            "log_lines": "JsonFormatter PlainFormatter about",
            "metadata": "TRACEPARENT TRACESTATE encoded_metadata metadata_in metadata_of_options",
            "middleware": "Middleware Next around checked_middleware",
            "named_arguments": "NamedArguments sent_by_name",
            "parents": "BlockingJobContext ReadParents",
            "provider_hook": "sync_limit",
            "provider_says": "ProviderSays said_of",
            "pause_status": "Pausable PausableName PauseStatus",
            "progress": "Progress Reported progress_of",
            "results": "Result result_of",
            "retry_policy": "RetryPolicy Throttle Verdict verdict",
            "schedule": "MISSED OVERLAP Missed Overlap ScheduleSpec check_schedule_name make_schedule plan",
            "schedule_status": "ComingRun ScheduleState ScheduleStatus",
            "submission": "Submission made_by_schedule prepare",
            "summaries": "note summary watched",
            "surroundings": "NONE Surroundings",
            "tags": "checked_tags",
            "taken": "Taken",
            "task_definition": "AttemptPolicy TaskDefinition TaskOptions",
            "task_spec": "TaskSpec TaskStatus",
            "unique": "Debounce Unique UniqueOption asked_uniqueness fields_of_unique",
            "used_arguments": "kind_of_argument opaque_arguments",
            "words": "JOBS NO_WORKER foretold foretold_batch frozen overridden paused paused_by span was_reset",
        },
    )

__all__ = [
    "BEGINNING",
    "EVERY_JOB",
    "FINAL",
    "FIRST_STEP",
    "INDEXES",
    "JOB",
    "JOBS",
    "KEPT_DAYS",
    "LATELY",
    "MEMBER_STATES",
    "MISSED",
    "MOST_AT_ONCE",
    "NONE",
    "NO_WORKER",
    "ON_FAILURE",
    "OVERLAP",
    "QUEUE_SERIES",
    "REASONS",
    "RUNNER",
    "TICKET",
    "TRACEPARENT",
    "TRACESTATE",
    "Acceptance",
    "Amendment",
    "Arguments",
    "Attempt",
    "AttemptPolicy",
    "AttemptRecord",
    "Backoff",
    "BatchForesight",
    "BatchNotOpen",
    "BatchProgress",
    "BlockingJobContext",
    "BudgetPace",
    "BudgetWarning",
    "BulkAction",
    "BulkPhase",
    "BulkStatus",
    "Calls",
    "Children",
    "ComingRun",
    "CountChanged",
    "DeadLetter",
    "DeadLetterGroup",
    "DeadlineOutOfReach",
    "Debounce",
    "Depends",
    "Ending",
    "FailedAttempt",
    "Finished",
    "Foresight",
    "Held",
    "HistoryRow",
    "HistoryStep",
    "Hook",
    "Hooks",
    "Injection",
    "JobContext",
    "JobCounts",
    "JobError",
    "JobEvent",
    "JobFilter",
    "JobLogFilter",
    "JobOptions",
    "JobPage",
    "JobStatus",
    "JsonFormatter",
    "MemberState",
    "Middleware",
    "Missed",
    "NamedArguments",
    "NewJob",
    "Next",
    "OnFailure",
    "OtherJob",
    "Outcome",
    "Overlap",
    "Overrides",
    "Parent",
    "Pausable",
    "PausableName",
    "PauseStatus",
    "Per",
    "PlainFormatter",
    "Plan",
    "Priority",
    "PriorityName",
    "Progress",
    "ProviderSays",
    "ReadParents",
    "Reported",
    "Result",
    "RetryPolicy",
    "ScheduleSpec",
    "ScheduleState",
    "ScheduleStatus",
    "Series",
    "Spans",
    "Spending",
    "SpentBy",
    "SpentRow",
    "StartedJob",
    "State",
    "Step",
    "Submission",
    "Surroundings",
    "Taken",
    "TaskDefinition",
    "TaskOptions",
    "TaskSpec",
    "TaskStatus",
    "Throttle",
    "Ties",
    "TooManyBulks",
    "Unique",
    "UniqueOption",
    "UnknownBulk",
    "Verdict",
    "Within",
    "about",
    "around",
    "asked_uniqueness",
    "call_in_process",
    "call_in_thread_with",
    "call_with",
    "check_event_id",
    "check_job_id",
    "check_known_id",
    "check_options",
    "check_queue_name",
    "check_schedule_name",
    "checked_hook",
    "checked_middleware",
    "checked_parents",
    "checked_policy",
    "checked_tags",
    "current_attempt",
    "current_job",
    "day_number",
    "encoded_metadata",
    "enter",
    "enter_state",
    "explain",
    "fields_of_unique",
    "flow_words",
    "foretold",
    "foretold_batch",
    "frozen",
    "injected",
    "instant_s",
    "instant_text",
    "is_series",
    "kind_of_argument",
    "leave_state",
    "made_by_schedule",
    "make_schedule",
    "metadata_in",
    "metadata_of_options",
    "name_of_function",
    "new_job_id",
    "no_result",
    "note",
    "of_tenant",
    "opaque_arguments",
    "overridden",
    "pace_of",
    "paused",
    "paused_by",
    "plan",
    "prepare",
    "progress_of",
    "question_of",
    "result_of",
    "row_of",
    "rows_of",
    "said_of",
    "sent_by_name",
    "span",
    "spending_of",
    "state_of",
    "summary",
    "sync_limit",
    "verdict",
    "waits_for_jobs",
    "was_reset",
    "watched",
]
