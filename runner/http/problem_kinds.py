"""Every kind of problem the service answers with (RFC 9457), and the kind of each exception that the runner raises."""

from dataclasses import dataclass

from runner import StoreUnavailable, UnknownJob
from runner.errors import (
    AlreadyFinished,
    CannotRetry,
    ExceedsCapacity,
    IncompatibleVersion,
    InvalidArguments,
    InvalidJobId,
    InvalidOption,
    JobIdConflict,
    StartOutOfRange,
    StoreFull,
    UnknownLimit,
    UnknownTask,
)

STORE_UNAVAILABLE = (
    "Redis cannot be reached or cannot serve right now: repeat the request after the time in Retry-After."
    " A submission with an id of your own is safe to repeat."
)

OVERLOADED = (
    "The queue has reached its limit of unfinished jobs, or its server has no memory left; nothing new of this request was stored."
    " Existing jobs go on, and all other requests are served: repeat the submission after the time in Retry-After."
)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem: its HTTP status, its title, and for people who follow the link, what it means and what to do."""

    status: int
    title: str
    help: str
    retry_after_s: int | None = None


KINDS: dict[str, Kind] = {
    "invalid-json": Kind(400, "The body is not JSON", "The body is empty, cut short, or not JSON (RFC 8259). Send one JSON object."),
    "json-too-deep": Kind(
        400, "The JSON is nested too deep", "Arrays and objects nest deeper than the limit named in detail. Flatten them."
    ),
    "invalid-number": Kind(
        400,
        "A number cannot be represented",
        "NaN, Infinity, numbers beyond double precision such as 1e400, and integers of thousands of digits are refused. Send them as text.",
    ),
    "duplicate-key": Kind(
        400,
        "A key occurs twice in one object",
        "The service cannot know which of the two values is meant. Send each key once in an object.",
    ),
    "invalid-encoding": Kind(
        400,
        "The body is not plain UTF-8",
        "The body must be UTF-8 without a byte order mark, and its text without lone surrogates such as \\ud800.",
    ),
    "not-found": Kind(
        404,
        "There is nothing here",
        "The path does not exist, or the job is unknown: never submitted, or finished so long ago that its result has expired.",
    ),
    "method-not-allowed": Kind(405, "The method is not allowed here", "The header Allow names the methods of this path."),
    "cannot-retry": Kind(
        409,
        "The job cannot be run again",
        "Only a job that failed, expired or was cancelled can be run again. One that has not ended runs by itself; one that succeeded is done:"
        " submit another.",
    ),
    "id-conflict": Kind(
        409,
        "The job id is taken",
        "A job of this id exists with another task or other arguments. Repeating a submission needs the same id and the same body;"
        " another job needs another id.",
    ),
    "already-finished": Kind(
        409, "The job has already finished", "A job in a final state cannot be cancelled. Ask for its status instead."
    ),
    "body-too-large": Kind(
        413, "The body is too large", "Send less, or in several requests. Large data belongs in a store; send its address."
    ),
    "unsupported-media-type": Kind(
        415,
        "The body must be sent as application/json",
        "Set the header Content-Type: application/json and send plain UTF-8, uncompressed.",
    ),
    "validation": Kind(
        422,
        "The request does not fit its description",
        "A field is missing, unknown, of the wrong type or out of range, or the arguments do not fit the task. The list errors points to each."
        " /openapi.json describes every request, /v1/tasks the arguments of every task.",
    ),
    "invalid-id": Kind(422, "The job id cannot be used", "An id is 1 to 128 letters, digits, '.', '_', ':' or '-'."),
    "unknown-task": Kind(
        422, "The task is not known", "No worker has published a task of this name. /v1/tasks lists those that are known."
    ),
    "exceeds-capacity": Kind(
        422,
        "The job can never start",
        "It asks a limit for more tokens than its bucket can ever hold. /v1/limits shows the capacity of each. Split the job.",
    ),
    "unknown-limit": Kind(
        422,
        "The limit is not known",
        "No worker has published a limit of this name (404 if the name is in the path), or the task does not use it."
        " /v1/limits lists those that are known, /v1/tasks the limits of every task.",
    ),
    "impossible-limit": Kind(
        422,
        "The limit cannot have these numbers",
        "The numbers do not belong to this kind of limit, or it could not work with them. Nothing was changed; detail names what is wrong."
        " A token bucket takes rate and burst, or capacity, refill and every; a sliding window capacity and per; the others capacity.",
    ),
    "run-at-out-of-range": Kind(
        422, "The start time is out of range", "run_at is an instant with a time zone, at most 366 days ahead; one in the past means now."
    ),
    "batch-invalid": Kind(
        422,
        "The batch is refused",
        "One of its jobs is refused, or there are too many. Nothing was stored. detail names the first such job.",
    ),
    "internal-error": Kind(500, "Something went wrong in this service", "It has been logged with its cause. It is not the caller's fault."),
    "outdated-service": Kind(
        503,
        "This service is too old for the queue",
        "A newer version uses the queue, and could not read what this version would store. Nothing was stored. Upgrade the service.",
        retry_after_s=1,
    ),
    "overloaded": Kind(503, "There is no room for more jobs now", OVERLOADED, retry_after_s=5),
    "store-unavailable": Kind(503, "The job store cannot serve right now", STORE_UNAVAILABLE, retry_after_s=1),
}

ERRORS: dict[type[Exception], str] = {
    AlreadyFinished: "already-finished",
    CannotRetry: "cannot-retry",
    ExceedsCapacity: "exceeds-capacity",
    IncompatibleVersion: "outdated-service",
    InvalidArguments: "validation",
    InvalidJobId: "invalid-id",
    InvalidOption: "validation",
    JobIdConflict: "id-conflict",
    StartOutOfRange: "run-at-out-of-range",
    StoreFull: "overloaded",
    StoreUnavailable: "store-unavailable",
    UnknownJob: "not-found",
    UnknownLimit: "unknown-limit",
    UnknownTask: "unknown-task",
}
"""The kind of each exception; one without an entry has that of its nearest base class."""

BODY_PROBLEMS = (
    "invalid-json",
    "json-too-deep",
    "invalid-number",
    "duplicate-key",
    "invalid-encoding",
    "body-too-large",
    "unsupported-media-type",
    "validation",
)
"""What can be wrong with any body."""
