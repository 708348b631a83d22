"""ETag: which version of a job's status a caller has, so that one who asks again is answered 304 while nothing has changed."""

from typing import Any

from fastapi import Request
from fastapi.responses import Response

from runner import JobStatus
from runner.http.job_documents import job_answer

ETAG: dict[str, Any] = {
    "ETag": {"schema": {"type": "string"}, "description": "the version of this status; weak, as eta_s is no part of it"}
}
IF_NONE_MATCH: dict[str, Any] = {
    "name": "If-None-Match",
    "in": "header",
    "schema": {"type": "string"},
    "description": "the ETag of an earlier answer: 304 without a body as long as that holds",
}
"""What OpenAPI says of the header."""


def versioned(request: Request, status: JobStatus, result: bytes | None = None) -> Response:
    """The answer about a job with its ETag; 304, if the caller has that version. It may be stored, and is asked for again before use.

    The tag is a weak one: `eta_s`, which counts down by itself, makes no other version. `result` is as in `job_answer`.
    """
    tag = f'"{status.version}"'
    headers = {"ETag": f"W/{tag}", "Cache-Control": "private, no-cache"}
    # The fields as they are: to look one up in a mapping of them takes longer than all the rest.
    for name, value in request.scope["headers"]:
        if name == b"if-none-match" and (value.strip() == b"*" or tag.encode() in value):
            return Response(status_code=304, headers=headers)
    return job_answer(status, result=result, headers=headers)
