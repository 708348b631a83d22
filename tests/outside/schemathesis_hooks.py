"""What schemathesis loads beside the description: requests that would only take long, and refusals that no schema can foresee."""

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import schemathesis

from tests.outside.precise import PUBLISHED

LONGEST_WAIT_S = 2.0
OWN_LIMIT = "api.failures"
"""Counts the requests without a key: were it changed, they would be answered 429 instead of 401."""
OF_THE_QUEUE = {
    "unknown-limit",
    "unknown-task",
    "unknown-parent",
    "exceeds-capacity",
    "impossible-limit",
    "run-at-out-of-range",
    "idempotency-key-reused",
}
"""Kinds of refusals that follow from what the queue holds just now, whatever the schema of the request."""
_OF_UNIQUE = (
    r"(.{0,100}: )?(unique has a (delay: |max_delay and no delay)|a unique job: duplicate is 'replace'|a debounced job: max_delay is "
    "|key of a (unique|debounced) job|unique takes its key)"
)
_OF_A_JOB = rf"(job [0-9]+: )?(delay and run_at|on_failure is |task '[^']+' is debounced|{_OF_UNIQUE})"
_OF_A_BUCKET = r"limit '[^']+' has no key|(#/bucket: )?bucket .* is not one of limit"
_OF_A_REASON = r"(#/reason: )?with .* before it the reason has"
FORESEEN = {
    "GET /v1/audit": r"audit: duration|the time of the audit",
    "GET /v1/events": r"watch is given with task or state",
    "GET /v1/history": r"history: duration|the time of the history|since and start are both|the history is asked for|[0-9]+ seconds are asked for",
    "GET /v1/jobs": r"id: give the ids of jobs, or a filter|cursor ",
    "GET /v1/jobs/{id}": r"(explain|story): with result=raw",
    "GET /v1/limits/{name}/waiting": _OF_A_BUCKET,
    "PUT /v1/limits/{name}": _OF_A_REASON,
    "POST /v1/batches": rf"{_OF_A_JOB}|job .* follows batch",
    "POST /v1/jobs": rf"{_OF_A_JOB}|the body has the id",
    "POST /v1/jobs/batch": _OF_A_JOB,
    "POST /v1/limits/{name}/freeze": rf"{_OF_A_BUCKET}|{_OF_A_REASON}",
    "POST /v1/limits/{name}/pause": _OF_A_REASON,
    "POST /v1/limits/{name}/release": _OF_A_BUCKET,
    "POST /v1/limits/{name}/reset": rf"{_OF_A_BUCKET}|{_OF_A_REASON}",
    "POST /v1/pauses": rf"a pause has a duration or|the pause would end at |{_OF_A_REASON}|{_OF_A_BUCKET}",
    "POST /v1/schedules": _OF_UNIQUE,
    "PUT /v1/schedules/{name}": _OF_UNIQUE,
    "DELETE /v1/pauses/key/{limit}/{key}": _OF_A_BUCKET,
}
"""How refusals begin that no schema foresees, by operation: of fields that cannot be together, of a field that must fit the path, of a template
that must fit the task, of texts that
only an answer has, of times as people say them, of instants that must be to come, and of a reason that is too long after the name of a key."""
WITH_ARGUMENTS = {"POST /v1/jobs", "POST /v1/jobs/batch", "POST /v1/batches", "POST /v1/schedules", "PUT /v1/schedules/{name}"}
"""Where the description that is tried was made stricter than that of the service, see `precise`: arguments are read as the type of the task
reads them, which takes "7" for a number. So nothing is wrong there that the description of the service allows."""
STAYS_KNOWN = ("/v1/jobs/", "/v1/bulk", "/v1/batches/")
"""Where DELETE cancels or stops what is told of ever after."""
RAW = "raw"
"""With this as `result` an answer is whatever the task returned. A description cannot tell it apart by the query."""


def filter_case(_: Any, case: Any) -> bool:
    """Whether a request is sent."""
    if (case.path_parameters or {}).get("name") == OWN_LIMIT:
        return False
    wait = str((case.query or {}).get("wait", 0))
    return not wait.replace(".", "", 1).isdigit() or float(wait) <= LONGEST_WAIT_S or float(wait) > 60


def filter_failure(_: Any, failure: Any, case: Any, response: Any) -> bool:
    """Whether a failure is one."""
    where, kind = case.operation.label, type(failure).__name__
    if kind == "JsonSchemaError":
        return (case.query or {}).get("result") != RAW
    if kind == "UseAfterFree":
        return not case.path.startswith(STAYS_KNOWN)
    if kind == "AcceptedNegativeData":
        return not (where in WITH_ARGUMENTS and "in body" in failure.message and _is_described(case))
    if kind != "RejectedPositiveData":
        return True
    problem = json.loads(response.content)
    if problem["type"].endswith("/invalid-path"):
        # Its coverage phase makes control characters of a pattern that forbids them.
        return not any(re.search(r"[\x00-\x1f\x7f]", str(value)) for value in (case.path_parameters or {}).values())
    if problem["detail"].startswith("Idempotency-Key is "):
        # Its coverage phase sends "0", which the pattern of this header does not allow.
        return str((case.headers or {}).get("Idempotency-Key", "")).startswith('"')
    faults = problem.get("errors") or [{}]
    kinds = {fault.get("type", problem["type"]).rpartition("/")[2] for fault in faults}
    return not (kinds <= OF_THE_QUEUE or re.match(FORESEEN.get(where, "(?!)"), problem["detail"]))


def _is_described(case: Any) -> bool:
    """Whether the body fits what the service itself says of it."""
    schema = _published()["paths"][case.operation.path][case.operation.method]["requestBody"]["content"]["application/json"]["schema"]
    return bool(jsonschema_rs.is_valid(schema, case.body))


@cache
def _published() -> Any:
    return json.loads(Path(os.environ[PUBLISHED]).read_text())


schemathesis.hook(filter_case)
schemathesis.hook(filter_failure)
