"""What OpenAPI says of texts and numbers is what the client takes."""

import re
from typing import Any

import pytest

from runner import Runner
from runner.client.audit import _LINE_ID
from runner.errors import InvalidJobId
from runner.http.app import create_app
from runner.jobs.event import _EVENT_ID
from runner.jobs.job import TICKET, check_job_id
from runner.ranges import RANGES
from tests.http.conftest import Service, serving

NUMBERS = {
    "delay",
    "max_wait",
    "cost",
    "capacity",
    "burst",
    "refill",
    "every",
    "per",
    "duration",
    "expected",
    "grace",
    "jitter",
    "max_delay",
    "until",
}


def known_as(operation: str, name: str) -> str:
    """What the ranges call a number."""
    of_schedules = {"every": "interval", "grace": "grace of a schedule", "jitter": "jitter of a schedule"}
    return ({"expected": "jobs of a bulk"} | (of_schedules if "schedule" in operation else {})).get(name, name)


def numbers_in(schema: dict[str, Any], name: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Every number of a body with the name of its field."""
    found = [(name, schema)] if schema.get("type") in ("number", "integer") else []
    for option in schema.get("anyOf", ()):
        found += numbers_in(option, name)
    for field, inner in schema.get("properties", {}).items():
        found += numbers_in(inner, field)
    more = [schema[key] for key in ("items", "additionalProperties") if isinstance(schema.get(key), dict)]
    return found + [number for inner in more for number in numbers_in(inner, name)]


def test_every_number_of_a_body_has_the_range_that_the_client_has() -> None:
    found = set()
    for methods in create_app().openapi()["paths"].values():
        for operation in methods.values():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                for name, schema in numbers_in(content["schema"]):
                    assert (schema["minimum"], schema["maximum"]) == RANGES[known_as(operation["operationId"], name)][:2], (
                        operation["operationId"],
                        name,
                    )
                    found.add(name)
    assert found == NUMBERS


def parameter(path: str, name: str) -> str:
    """The pattern of a parameter."""
    (found,) = [one for one in create_app().openapi()["paths"][path]["get"]["parameters"] if one["name"] == name]
    return str(found["schema"]["pattern"])


@pytest.mark.parametrize("job_id", ["a", "A.b_c:d-9", "x" * 128, "x" * 129, "", "a b", "a\n", "ü", f"{TICKET}1", "retake:1", "a/b"])
def test_the_pattern_of_a_job_id_is_what_the_client_takes(job_id: str) -> None:
    taken = True
    try:
        check_job_id(job_id)
    except InvalidJobId:
        taken = False
    pattern = parameter("/v1/jobs/{id}", "id").removesuffix("$")
    assert bool(re.fullmatch(pattern, job_id)) == taken


def test_the_patterns_of_ids_in_streams_are_what_the_client_takes() -> None:
    assert parameter("/v1/events", "last-event-id") == f"^{_EVENT_ID.pattern}$"
    assert parameter("/v1/audit", "after") == f"^({_LINE_ID.pattern})?$"


async def test_an_id_of_a_stream_beyond_what_redis_can_read_is_refused(service: Service) -> None:
    for number in ("9" * 20, "1-" + "9" * 20):
        answers = [
            await service.http.get("/v1/audit", params={"after": number}),
            await service.http.get("/v1/events", headers={"last-event-id": number}),
        ]
        assert [answer.status_code for answer in answers] == [422, 422]


async def test_a_whole_number_may_be_written_with_a_point(service: Service) -> None:
    changed = await service.http.put("/v1/limits/slow", json={"capacity": 7.0, "refill": 1.0})
    assert changed.json()["policy"]["capacity"] == 7
    await service.submit("scarce", cost={"slow": 2.0})
    for half in ({"cost": {"slow": 2.5}}, {"cost": {"slow": True}}):
        assert (await service.http.post("/v1/jobs", json={"task": "scarce", **half})).status_code == 422


async def test_the_reason_of_a_change_names_its_key_once(app: Runner) -> None:
    made = await app.client.keys.create("ann", preset="admin")
    async with serving(app.settings, app.queue) as service:
        service.http.headers["authorization"] = f"Bearer {made.secret}"
        changed = await service.http.put("/v1/limits/slow", json={"capacity": 7, "reason": "sale"})
    assert changed.json()["override"]["reason"] == f"key {made.key.id} ann: sale"
