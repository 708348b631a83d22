"""Problem: the answer to a request that failed, as a document of RFC 9457, made from any exception.

An answer never contains a stack trace, a reply of Redis, or more of the caller's input than is needed to recognise it.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.routing import Match

from runner import DeadlineOutOfReach
from runner.errors import BacklogFull, DuplicateJob, Forbidden, InvalidArguments, Unauthenticated
from runner.http.escaped_slashes import routed_path
from runner.http.problem_errors import ERRORS
from runner.http.problem_kinds import KINDS
from runner.http.validation_errors import Fault, faults_of, pointer, shortened, summary

MEDIA_TYPE = "application/problem+json"
_REALM = "runner"
_LONGEST_PATH = 100
_KINDS_OF_THE_SERVICE = ("damaged-queue", "internal-error", "overloaded", "store-unavailable")
"""Their exceptions name addresses and replies, which are no business of a caller."""
_BY_STATUS = {
    401: "unauthenticated",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    413: "body-too-large",
    415: "unsupported-media-type",
}


class Problem(Exception):
    """A request that is answered with a problem. `detail` names the value and the remedy; `status` is given if it is not the kind's."""

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        faults: Sequence[Fault] = (),
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, float | str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = shortened(detail)
        self.faults = faults
        self.more = dict(more or {})
        self.status = status or KINDS[kind].status
        self.headers = dict(headers or {})
        if KINDS[kind].retry_after_s is not None:
            self.headers["Retry-After"] = str(KINDS[kind].retry_after_s)

    def document(self, base: str) -> dict[str, Any]:
        """The members of RFC 9457. `base` is the path where this service begins, see `base_of`."""
        members = {"type": type_of(self.kind, base), "title": KINDS[self.kind].title, "status": self.status, "detail": self.detail}
        return members | self.more | ({"errors": list(self.faults)} if self.faults else {})

    def response(self, base: str) -> Response:
        return Response(to_json(self.document(base)), self.status, self.headers, MEDIA_TYPE)


def type_of(kind: str, base: str) -> str:
    """The `type` of a problem: the path of a text that explains its kind."""
    return f"{base}/problems/{kind}"


def base_of(request: Request) -> str:
    """The path where this service begins: empty unless an app includes or mounts it under a prefix, or a proxy serves it under one.

    `root_path` is what a server was told of its proxy, and what an app adds that mounts another. Servers write it before the path.
    """
    route, path, root = request.scope.get("route"), routed_path(request.scope), request.scope.get("root_path", "")
    path_format = getattr(route, "path", None)
    if path_format is None or path == path_format:
        return quote(root)
    if root and path.startswith(f"{root}/"):
        path = path[len(root) :]
    # No parameter in the path of a route contains a slash.
    return quote(root + path.rsplit("/", path_format.count("/"))[0])


ANSWERED: tuple[type[Exception], ...] = (Problem, RequestValidationError, *ERRORS)
"""What a route answers with a problem. It leaves the rest to the app: an HTTPException of the app's dependencies, and defects."""


def problem_of(error: Exception) -> Problem:
    """The problem that answers an exception."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        kind = _BY_STATUS.get(error.status_code, "validation" if error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR else "internal-error")
        return Problem(kind, str(error.detail), status=error.status_code, headers=error.headers)
    if isinstance(error, RequestValidationError):
        faults = faults_of(error.errors())
        return Problem("validation", summary(faults), faults=faults)
    kind = next((ERRORS[cls] for cls in type(error).__mro__ if cls in ERRORS), "internal-error")
    if isinstance(error, (Unauthenticated, Forbidden)):
        return Problem(kind, str(error), headers={"WWW-Authenticate": _challenge(error)})
    if isinstance(error, BacklogFull):
        return Problem(kind, str(error), more={"backlog": error.backlog, "max_backlog": error.most, "refused": error.refused})
    if isinstance(error, DuplicateJob):
        return Problem(kind, str(error), more={"job": error.job_id})
    if isinstance(error, DeadlineOutOfReach):
        return Problem(kind, str(error), more={"earliest_s": error.earliest_s})
    if isinstance(error, InvalidArguments):
        return Problem(kind, str(error), faults=[Fault(pointer=pointer("args"), detail=shortened(str(error)))])
    is_for_callers = kind not in _KINDS_OF_THE_SERVICE
    return Problem(kind, str(error) if is_for_callers else KINDS[kind].help)


def _challenge(error: Unauthenticated | Forbidden) -> str:
    """What a caller is told of the key that would do (RFC 6750)."""
    told = [f'realm="{_REALM}"']
    if isinstance(error, Forbidden):
        told += ['error="insufficient_scope"'] + ([f'scope="{error.scope}"'] if error.scope else [])
    elif error.was_sent:
        told.append('error="invalid_token"')
    return f"Bearer {', '.join(told)}"


def answer(request: Request, error: Exception) -> Response:
    """The answer to any exception."""
    problem = problem_of(error)
    if isinstance(error, HTTPException) and problem.kind in ("not-found", "method-not-allowed"):
        path = shortened(repr(request.url.path), _LONGEST_PATH)
        if problem.kind == "method-not-allowed":
            problem.headers["Allow"] = _allowed(request)
        problem.detail = f"{request.method} {path}: {KINDS[problem.kind].title.lower()}; {base_of(request)}/openapi.json lists the paths"
    return problem.response(base_of(request))


def _allowed(request: Request) -> str:
    """The methods of all routes of this path; a router names those of the first one."""
    routes = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
    return ", ".join(sorted({method for route in routes for method in getattr(route, "methods", None) or ()}))


async def answer_of_app(request: Request, error: Exception) -> Response:
    """An app's exception handler for what no route answers: an unknown path, another method, a defect."""
    return answer(request, error)


def responses(*kinds: str, at: Mapping[str, int] | None = None) -> dict[int | str, dict[str, Any]]:
    """The description of the problems that a route answers with: one entry for each status, naming its kinds.

    `at` names kinds that this route answers with a status of its own.
    """
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
    by_status: dict[int | str, dict[str, Any]] = {}
    for kind, status in [(kind, KINDS[kind].status) for kind in (*kinds, "internal-error")] + list((at or {}).items()):
        entry = by_status.setdefault(status, {"description": "", "content": content})
        entry["description"] += f"{', ' if entry['description'] else 'Problem: '}{kind}"
    return by_status
