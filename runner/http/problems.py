"""Every error this service can answer: one table of problems (RFC 9457), and one that says which exception is which problem.

An answer never carries a stack trace, a reply of Redis, or more of the caller's input than is needed to recognise it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic_core import to_json
from starlette.exceptions import HTTPException

from runner import (
    AlreadyFinished,
    BacklogFull,
    CannotRetry,
    ExceedsCapacity,
    IncompatibleVersion,
    InvalidArguments,
    InvalidJobId,
    InvalidOption,
    JobIdConflict,
    StartOutOfRange,
    StoreFull,
    StoreUnavailable,
    UnknownJob,
    UnknownLimit,
    UnknownTask,
)
from runner.http.validation_errors import Fault, faults_of, shortened, summary

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = {"store-unavailable": 1, "overloaded": 5}
_LONGEST_PATH = 100
STORE_UNAVAILABLE = (
    "Redis cannot be reached or cannot serve right now: repeat the request after the time in Retry-After."
    " A submission with an id of your own is safe to repeat."
)

OVERLOADED = (
    "The queue has as many jobs that have not ended as it may have, or its server has no memory left; of this request nothing new was"
    " stored. Jobs that are there go on, and every other request is served: repeat the submission after the time in Retry-After."
)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem: its HTTP status, its title, and for people who follow the link, what it means and what to do."""

    status: int
    title: str
    help: str


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
        400, "A key occurs twice in one object", "Which of the two values is meant cannot be known. Send each key once in an object."
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
        "No worker has published a limit of this name (404 where it stands in the path), or the task does not use it."
        " /v1/limits lists those that are known, /v1/tasks the limits of every task.",
    ),
    "impossible-limit": Kind(
        422,
        "The limit cannot have these numbers",
        "The numbers do not belong to this kind of limit, or it could not work with them. Nothing was changed; detail names what is wrong."
        " Of a token bucket give rate and burst, or capacity, refill and every; of a sliding window capacity and per; of the others capacity.",
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
        "A newer version uses the queue, beside which this one may not work: what it would store could not be read. Nothing was stored."
        " Upgrade the service.",
    ),
    "overloaded": Kind(503, "There is no room for more jobs now", OVERLOADED),
    "store-unavailable": Kind(503, "The job store cannot serve right now", STORE_UNAVAILABLE),
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
"""What the runner raises, and the kind of problem it is."""

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

_BY_STATUS = {404: "not-found", 405: "method-not-allowed", 413: "body-too-large", 415: "unsupported-media-type"}


class Problem(Exception):
    """A request that is answered with a problem. `detail` names the value and the remedy; `status` only where it differs from the kind's."""

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        faults: Sequence[Fault] = (),
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = shortened(detail)
        self.faults = faults
        self.status = status or KINDS[kind].status
        self.headers = dict(headers or {})
        if self.status == HTTPStatus.SERVICE_UNAVAILABLE:
            self.headers["Retry-After"] = str(RETRY_AFTER_S.get(kind, 1))

    def document(self, base: str) -> dict[str, Any]:
        """The members of RFC 9457. `base` is the path below which the texts of problems are, see `base_of`."""
        members = {"type": type_of(self.kind, base), "title": KINDS[self.kind].title, "status": self.status, "detail": self.detail}
        return members | ({"errors": list(self.faults)} if self.faults else {})

    def response(self, base: str) -> Response:
        return Response(to_json(self.document(base)), self.status, self.headers, MEDIA_TYPE)


def type_of(kind: str, base: str) -> str:
    """The `type` of a problem: the path of a text that explains its kind."""
    return f"{base}/problems/{kind}"


def base_of(request: Request) -> str:
    """The path below which the routes of this service are: empty unless an app includes them under a prefix, or a proxy does."""
    route = request.scope.get("route")
    if route is None:
        return str(request.scope.get("root_path", ""))
    # No parameter in the path of a route contains a slash.
    return quote(request.scope["path"].rsplit("/", route.path.count("/"))[0])


ANSWERED: tuple[type[Exception], ...] = (Problem, RequestValidationError, *ERRORS)
"""What a route answers with a problem. Anything else is the app's: HTTPException of its dependencies, and defects."""


def problem_of(error: Exception) -> Problem:
    """Any exception as the problem it is answered with."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        kind = _BY_STATUS.get(error.status_code, "validation" if error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR else "internal-error")
        return Problem(kind, str(error.detail), status=error.status_code, headers=error.headers)
    if isinstance(error, RequestValidationError):
        faults = faults_of(error.errors())
        return Problem("validation", summary(faults), faults=faults)
    kind = next((ERRORS[cls] for cls in type(error).__mro__ if cls in ERRORS), "internal-error")
    if kind in ("store-unavailable", "overloaded") and not isinstance(error, BacklogFull):
        return Problem(kind, KINDS[kind].help)
    if kind == "internal-error":
        return Problem(kind, KINDS[kind].help)
    return Problem(kind, str(error))


def answer(request: Request, error: Exception) -> Response:
    """The answer to any exception."""
    problem = problem_of(error)
    if isinstance(error, HTTPException) and problem.kind in ("not-found", "method-not-allowed"):
        path = shortened(repr(request.url.path), _LONGEST_PATH)
        problem.detail = f"{request.method} {path}: {KINDS[problem.kind].title.lower()}; /openapi.json lists the paths"
    return problem.response(base_of(request))


async def answer_of_app(request: Request, error: Exception) -> Response:
    """The exception handler of an app, which answers what no route does: an unknown path, another method, a defect."""
    return answer(request, error)


def responses(*kinds: str, at: Mapping[str, int] | None = None) -> dict[int | str, dict[str, Any]]:
    """What a route's description says of the problems it answers with: one entry a status, naming its kinds.

    `at` are kinds that this route answers with another status than theirs.
    """
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
    by_status: dict[int | str, dict[str, Any]] = {}
    for kind, status in [(kind, KINDS[kind].status) for kind in (*kinds, "internal-error")] + list((at or {}).items()):
        entry = by_status.setdefault(status, {"description": "", "content": content})
        entry["description"] += f"{', ' if entry['description'] else 'Problem: '}{kind}"
    return by_status
