"""The description of a service made precise by what its queue has, so that a generator of requests reaches further than the first check."""

from collections.abc import Mapping, Sequence
from typing import Any

PUBLISHED = "RUNNER_PUBLISHED_DESCRIPTION"
"""Names the file with what the service itself says, in the environment of the hooks."""
_EVENT = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "event": {"enum": ["state", "open", "end", "away"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
        "retry": {"type": "integer"},
    },
    "required": ["event", "data"],
}

_NONE: dict[str, Any] = {"type": "null"}
_RHYTHMS: list[dict[str, Any]] = [
    {"cron": {"enum": ["0 6 * * 1-5", "*/5 * * * *", "@daily", "30 2 31 1 *"]}, "tz": {"enum": ["UTC", "Europe/Berlin"]}, "every": _NONE},
    {"every": {"type": "number", "minimum": 90_000, "maximum": 31_622_400}, "tz": {"const": "UTC"}, "cron": _NONE},
]
"""When a schedule runs: by a calendar, or by an interval, which is longer than any jitter."""


def precise(document: dict[str, Any], tasks: Sequence[Mapping[str, Any]], *, has_keys: bool) -> dict[str, Any]:
    """The OpenAPI document of a service with these tasks, as `GET /v1/tasks` tells them. Changes it.

    A job has the arguments of its task, also one of a schedule, which ends before it begins in no request; an answer of events is checked event by event, and a service without keys asks for none.
    """
    submit, batch = (document["paths"][path]["post"]["requestBody"]["content"] for path in ("/v1/jobs", "/v1/jobs/batch"))
    job = submit["application/json"]["schema"]
    job["oneOf"] = [_job_of(task) for task in tasks]
    batch["application/json"]["schema"]["properties"]["jobs"]["items"]["oneOf"] = job["oneOf"]
    begin = document["paths"]["/v1/batches"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    begin["properties"]["then"]["anyOf"][0]["oneOf"] = job["oneOf"]
    for method, path in (("post", "/v1/schedules"), ("put", "/v1/schedules/{name}")):
        schedule = document["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]
        schedule["oneOf"] = [_schedule_of(task, rhythm) for task in tasks for rhythm in _RHYTHMS]
    for path in ("/v1/events", "/v1/jobs/{id}/events"):
        document["paths"][path]["get"]["responses"]["200"]["content"]["text/event-stream"] = {"itemSchema": _EVENT}
    if not has_keys:
        del document["components"]["securitySchemes"]
        for methods in document["paths"].values():
            for operation in methods.values():
                operation.pop("security", None)
    return document


def _job_of(task: Mapping[str, Any]) -> dict[str, Any]:
    tokens = {"type": "integer", "minimum": 0, "maximum": 2**43 - 1}
    cost = {"type": ["object", "null"], "properties": dict.fromkeys(task["limits"], tokens), "additionalProperties": False}
    arguments = _without_definitions(task["parameters"])
    for argument in task["cost"].values():
        if isinstance(argument, str) and argument in arguments["properties"]:
            arguments["properties"][argument] |= tokens
    needs_args = ["args"] if task["parameters"].get("required") else []
    return {
        "properties": {"task": {"const": task["name"]}, "args": arguments, "cost": cost},
        "required": ["task", *needs_args],
    }


def _schedule_of(task: Mapping[str, Any], rhythm: Mapping[str, Any]) -> dict[str, Any]:
    job = _job_of(task)
    (of_rhythm,) = [name for name in ("cron", "every") if rhythm[name] != _NONE]
    options = {"properties": {"cost": job["properties"].pop("cost")}}
    return {"properties": job["properties"] | rhythm | {"options": options, "end": _NONE}, "required": [*job["required"], of_rhythm]}


def _without_definitions(schema: Mapping[str, Any]) -> Any:
    """The schema with its `$defs` written out: where it goes, its references would lead nowhere."""
    definitions = schema.get("$defs", {})

    def whole(part: Any) -> Any:
        if isinstance(part, list):
            return [whole(inner) for inner in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return whole(definitions[part["$ref"].rpartition("/")[2]])
        return {name: whole(inner) for name, inner in part.items() if name != "$defs"}

    return whole(schema)
