"""Every kind of problem the service answers with (RFC 9457)."""

from dataclasses import dataclass

STORE_UNAVAILABLE = (
    "Redis cannot be reached or cannot serve right now: repeat the request after the time in Retry-After."
    " A submission with an id of your own is safe to repeat."
)

OVERLOADED = (
    "The queue has reached its limit of unfinished jobs, or its server has no memory left; nothing new of this request was stored."
    " Existing jobs go on, and all other requests are served: repeat the submission after the time in Retry-After."
)
DAMAGED_QUEUE = "In Redis a key holds something else than it should: python -m runner doctor names it and the remedy. Then ask again."


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem: its HTTP status, its title, and for people who follow the link, what it means and what to do."""

    status: int
    title: str
    help: str
    retry_after_s: int | None = None


KINDS: dict[str, Kind] = {
    "malformed-request": Kind(
        400,
        "The request is not understood",
        "The bytes of the connection are no request of HTTP/1.1, or it has no field Host, or several. The connection was closed.",
    ),
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
    "too-many-values": Kind(
        413,
        "The body has too many values",
        "Objects, lists, texts and numbers are counted together, those inside others too. Send fewer, or what belongs together as one text.",
    ),
    "invalid-encoding": Kind(
        400,
        "The body is not plain UTF-8",
        "The body must be UTF-8 without a byte order mark, and its text without lone surrogates such as \\ud800.",
    ),
    "invalid-idempotency-key": Kind(
        400,
        "The Idempotency-Key cannot be used",
        'The header Idempotency-Key holds one text in quotation marks, like "order-17" (RFC 8941, section 3.3.3), for a single job whose body'
        " has no id. Jobs of a batch have an id each.",
    ),
    "invalid-path": Kind(400, "The path has control characters", "No path of this service has any, as %0A or %00. Leave them out."),
    "cross-site": Kind(
        403,
        "A page of another site may change nothing here",
        "A browser sent this request for a page that this service did not serve. Without keys the service trusts whoever reaches it, so it"
        " does not trust the pages they visit.",
    ),
    "too-many-requests": Kind(
        429,
        "Too many requests",
        "The key has a rate and has used it up, it has too many requests that wait, or too many requests of this address had no key that is"
        " accepted. Come back after the time in Retry-After.",
    ),
    "unauthenticated": Kind(
        401,
        "A key is needed",
        "Send the key in one header, Authorization: Bearer mr1_... It must be of this queue, and neither expired nor revoked."
        " Who can reach Redis makes one by `python -m runner keys create`, and `keys check` says what is wrong with one.",
    ),
    "forbidden": Kind(
        403,
        "The key does not permit this",
        "detail names the right that is missing, or the restriction of the key that is in the way. Ask who made the key.",
    ),
    "not-found": Kind(
        404,
        "There is nothing here",
        "The path does not exist, or the job is unknown: never submitted, or finished so long ago that its result has expired.",
    ),
    "method-not-allowed": Kind(405, "The method is not allowed here", "The header Allow names the methods of this path."),
    "request-timeout": Kind(
        408,
        "The request came too slowly",
        "Its head must be there within some seconds, and its body must keep coming. The connection was closed, and nothing was stored.",
    ),
    "cannot-retry": Kind(
        409,
        "The job cannot be run again",
        "Only a job that failed, expired or was cancelled can be run again. One that has not ended runs by itself; one that succeeded is done:"
        " submit another.",
    ),
    "count-changed": Kind(
        409,
        "There are not so many jobs",
        "An act upon many jobs is confirmed with as many as were counted, once they are; detail has the number. Nothing was done.",
    ),
    "too-many-bulks": Kind(
        409,
        "Too many acts upon many jobs are open",
        "At most ten can be: confirm those that are counted, or stop them. GET /v1/bulk lists them.",
    ),
    "id-conflict": Kind(
        409,
        "The job id is taken",
        "A job of this id exists with another task or other arguments. Repeating a submission needs the same id and the same body;"
        " another job needs another id.",
    ),
    "batch-not-open": Kind(
        409,
        "The batch takes no job",
        "It was never begun, is sealed or over, or has another job that follows it. POST /v1/batches begins one; give that another id.",
    ),
    "duplicate-job": Kind(
        409,
        "Another job is there that is unique",
        "The task is unique, or the submission says so, and refuses a second job: job names the one that is there, which has not ended or whose"
        " time is not over. Ask for its status, or submit again after it.",
    ),
    "already-finished": Kind(
        409, "The job has already finished", "A job in a final state cannot be cancelled. Ask for its status instead."
    ),
    "arguments-too-large": Kind(
        413,
        "The arguments are too large",
        "The arguments of one job have at most so many bytes of JSON as RUNNER_MAX_ARGS_BYTES says. Large data belongs in a store; send its"
        " address.",
    ),
    "not-ended": Kind(
        409,
        "The job has not ended",
        "Only a job that has ended can be deleted. Cancel it first: one that is not running ends at once, a running one when its handler does.",
    ),
    "no-result": Kind(
        409,
        "The job has no result",
        "It has not ended, or it ended without a result; detail names its state. Without result=raw the answer is its status, with its error.",
    ),
    "result-too-large": Kind(
        413,
        "The result is too large for this answer",
        "The result has more bytes of JSON than RUNNER_HTTP_MAX_RESULT_BYTES says; detail names both. GET /v1/jobs/{id}?result=raw sends that"
        " result alone, as it is stored.",
    ),
    "task-served": Kind(
        409,
        "The task is served",
        "A live worker serves it, and the next one would publish it again: stop the workers of the versions that have it.",
    ),
    "body-too-large": Kind(
        413, "The body is too large", "Send less, or in several requests. Large data belongs in a store; send its address."
    ),
    "unsupported-media-type": Kind(
        415,
        "The body must be sent as application/json",
        "Set the header Content-Type: application/json and send plain UTF-8, uncompressed.",
    ),
    "misdirected-request": Kind(
        421,
        "The host is none of this service's",
        "The field Host has a name that this service does not go by, as it has when a page of another site points its own name here. Call the"
        " service by its address or as localhost, or allow the name: --allowed-host or RUNNER_ALLOWED_HOSTS.",
    ),
    "validation": Kind(
        422,
        "The request does not fit its description",
        "A field is missing, unknown, of the wrong type or out of range, or the arguments do not fit the task. The list errors points to each."
        " /openapi.json describes every request, /v1/tasks the arguments of every task.",
    ),
    "invalid-id": Kind(422, "The job id cannot be used", "An id is 1 to 128 letters, digits, '.', '_', ':' or '-'."),
    "idempotency-key-reused": Kind(
        422,
        "The Idempotency-Key belongs to another request",
        "A job with another task or other arguments was submitted with this key. Repeat a request with its key and its body as they were;"
        " give another job another key.",
    ),
    "unknown-task": Kind(
        422,
        "The task is not known",
        "No worker has published a task of this name (404 if the name is in the path). /v1/tasks lists those that are known.",
    ),
    "unknown-parent": Kind(
        422, "A job to come after is not known", "after names a job that there is not: never submitted, or too long over."
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
    "unknown-schedule": Kind(404, "There is no such schedule", "No schedule has this name. /v1/schedules lists those that there are."),
    "bad-schedule": Kind(
        422,
        "The schedule can never work",
        "Its cron expression, interval, time zone or another of its options: the detail names the value and what to give instead.",
    ),
    "schedule-conflict": Kind(
        409,
        "The code declares this schedule",
        "A schedule that code declares is changed in the code. It can be paused, resumed and run by hand.",
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
    "deadline-out-of-reach": Kind(
        422,
        "The job cannot make its deadline",
        "earliest_s are the seconds before which it does not start. Give a later deadline, another priority, or submit it later.",
    ),
    "batch-invalid": Kind(
        422,
        "The batch is refused",
        "One of its jobs is refused, two have the same id, or there are too many. Nothing was stored. detail names the first such job.",
    ),
    "head-too-large": Kind(
        431, "The head of the request is too large", "The first line and the header fields together have a limit, and so has their number."
    ),
    "internal-error": Kind(500, "Something went wrong in this service", "It has been logged with its cause. It is not the caller's fault."),
    "missing-extra": Kind(
        501,
        "The service lacks a package",
        "What was asked for needs a package that is not installed with this service; detail has the line that installs it.",
    ),
    "busy": Kind(
        503,
        "The service is busy with others",
        "It has as many connections, waiting requests or large bodies as it may have at once. Nothing was stored: repeat the request after the"
        " time in Retry-After.",
        retry_after_s=1,
    ),
    "damaged-queue": Kind(503, "A key of the queue is damaged", DAMAGED_QUEUE, retry_after_s=10),
    "incomplete-catalog": Kind(
        503,
        "The catalog lacks a part of this task",
        "Its entry cannot be read, or a limit that it uses is missing, so the job was not stored: without its limits it would run at any rate."
        " Other tasks are not affected. A worker of the task that starts puts it right.",
        retry_after_s=5,
    ),
    "outdated-service": Kind(
        503,
        "This service is too old for the queue",
        "A newer version uses the queue, and could not read what this version would store. Nothing was stored. Upgrade the service.",
        retry_after_s=1,
    ),
    "overloaded": Kind(503, "There is no room for more jobs now", OVERLOADED, retry_after_s=5),
    "too-many-streams": Kind(
        503,
        "Too many event streams are open",
        "Each holds a connection, so there is a bound to how many a process serves. Close those that nobody reads; ask for the status of a job"
        " with wait instead of following it.",
        retry_after_s=10,
    ),
    "store-unavailable": Kind(503, "The job store cannot serve right now", STORE_UNAVAILABLE, retry_after_s=1),
}

ANY_REQUEST = (
    "malformed-request",
    "cross-site",
    "method-not-allowed",
    "request-timeout",
    "misdirected-request",
    "head-too-large",
)
"""What is answered before a request reaches a route, whatever it asks for."""

BODY_PROBLEMS = (
    "invalid-json",
    "json-too-deep",
    "invalid-number",
    "duplicate-key",
    "invalid-encoding",
    "body-too-large",
    "too-many-values",
    "unsupported-media-type",
    "validation",
    "busy",
)
"""What can be wrong with any body."""
