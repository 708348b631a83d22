"""What schemathesis loads beside the description: requests that would only take long, and refusals that no schema can foresee."""

import json
import re
from typing import Any

import schemathesis

LONGEST_WAIT_S = 2.0
OWN_LIMIT = "api.failures"
"""Counts the requests without a key: were it changed, they would be answered 429 instead of 401."""
OF_THE_QUEUE = {"unknown-limit", "unknown-task", "exceeds-capacity", "impossible-limit", "run-at-out-of-range", "idempotency-key-reused"}
"""Kinds of refusals that follow from what the queue holds just now, whatever the schema of the request."""
OF_THE_QUEUE_AT = {"#/bucket", "#/reason"}
OF_SEVERAL_FIELDS = (
    "explain: ",
    "delay and run_at",
    "the body has the id",
    "on_failure is ",
    "since and start are both",
    "the history is asked for",
    "id: give the ids of jobs, or a filter",
    "a pause has a duration or",
)
"""How refusals begin of fields that cannot be together."""
OF_AN_ANSWER = ("cursor ",)
"""Those of texts that only an answer has."""
OF_NOW = ("the pause would end at ",)
"""Those of instants that must be to come."""
_OF_TWO = re.compile(r"limit '[^']+' has no key|[0-9]+ seconds are asked for|.{0,100}: unique has a delay: ")
"""How a bucket of a key is refused of a limit that has none, a span that is too long for its step, and a debounce with other options."""
_A_JOB_OF_A_BATCH = re.compile(r"^job [0-9]+: ")
IN_WORDS = ("audit: duration", "history: duration", "the time of the audit", "the time of the history")
"""Those of times as people say them, like "1h"."""
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
    if type(failure).__name__ == "JsonSchemaError":
        return (case.query or {}).get("result") != RAW
    if type(failure).__name__ == "UseAfterFree":
        # DELETE cancels a job and stops an act upon many, and both are told of ever after.
        return not case.path.startswith(("/v1/jobs/", "/v1/bulk"))
    if type(failure).__name__ != "RejectedPositiveData":
        return True
    problem = json.loads(response.content)
    if problem["detail"].startswith("Idempotency-Key is "):
        # Its coverage phase sends "0", which the pattern of this header does not allow.
        return str((case.headers or {}).get("Idempotency-Key", "")).startswith('"')
    faults = problem.get("errors") or [{}]
    kinds = {fault.get("type", problem["type"]).rpartition("/")[2] for fault in faults}
    places = {fault.get("pointer") for fault in faults}
    return not (
        kinds <= OF_THE_QUEUE
        or _OF_TWO.match(problem["detail"])
        or places <= OF_THE_QUEUE_AT
        or _A_JOB_OF_A_BATCH.sub("", problem["detail"]).startswith(OF_SEVERAL_FIELDS + OF_AN_ANSWER + OF_NOW + IN_WORDS)
    )


schemathesis.hook(filter_case)
schemathesis.hook(filter_failure)
