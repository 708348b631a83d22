"""The description of the service: complete, and true of what the service answers."""

from collections.abc import Iterator
from typing import Any

import pytest

from runner.http.app import create_app
from runner.http.problem_kinds import ANY_REQUEST, KINDS
from tests.http.conftest import Service
from tests.http.test_bad_inputs import BODIES, FIELDS, PATHS

ROUTES = {
    ("post", "/v1/jobs"),
    ("post", "/v1/jobs/batch"),
    ("get", "/v1/jobs"),
    ("get", "/v1/counts"),
    ("get", "/v1/dead-letters"),
    ("get", "/v1/jobs/{id}"),
    ("get", "/v1/jobs/{id}/events"),
    ("get", "/v1/events"),
    ("delete", "/v1/jobs/{id}"),
    ("get", "/v1/batches"),
    ("post", "/v1/batches"),
    ("post", "/v1/batches/{id}/seal"),
    ("get", "/v1/batches/{id}"),
    ("delete", "/v1/batches/{id}"),
    ("get", "/v1/tasks"),
    ("delete", "/v1/tasks/{name}"),
    ("post", "/v1/bulk"),
    ("get", "/v1/bulk"),
    ("get", "/v1/bulk/{id}"),
    ("post", "/v1/bulk/{id}/confirm"),
    ("delete", "/v1/bulk/{id}"),
    ("delete", "/v1/jobs/{id}/record"),
    ("post", "/v1/jobs/{id}/retry"),
    ("get", "/v1/limits"),
    ("get", "/v1/limits/{name}"),
    ("put", "/v1/limits/{name}"),
    ("delete", "/v1/limits/{name}/override"),
    ("post", "/v1/limits/{name}/pause"),
    ("post", "/v1/limits/{name}/resume"),
    ("post", "/v1/limits/{name}/freeze"),
    ("post", "/v1/limits/{name}/release"),
    ("post", "/v1/limits/{name}/reset"),
    ("get", "/v1/workers"),
    ("get", "/v1/server"),
    ("get", "/v1/pools"),
    ("get", "/v1/pauses"),
    ("post", "/v1/pauses"),
    ("delete", "/v1/pauses/queue"),
    ("delete", "/v1/pauses/task/{name}"),
    ("delete", "/v1/pauses/pool/{name}"),
    ("delete", "/v1/pauses/key/{limit}/{key}"),
    ("get", "/metrics"),
    ("get", "/v1/history"),
    ("get", "/v1/overview"),
    ("get", "/v1/limits/{name}/waiting"),
    ("get", "/v1/limits/{name}/history"),
    ("get", "/v1/limits/{name}/spent"),
    ("get", "/v1/limits/{name}/budget"),
    ("get", "/v1/limits/{name}/buckets"),
    ("get", "/v1/history/series"),
    ("get", "/v1/pools"),
    ("get", "/v1/schedules"),
    ("post", "/v1/schedules"),
    ("get", "/v1/schedules/{name}"),
    ("put", "/v1/schedules/{name}"),
    ("delete", "/v1/schedules/{name}"),
    ("post", "/v1/schedules/{name}/pause"),
    ("post", "/v1/schedules/{name}/resume"),
    ("post", "/v1/schedules/{name}/trigger"),
    ("get", "/v1/audit"),
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("get", "/problems/{name}"),
}


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    return create_app().openapi()


def operations(description: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        for name, inner in part.items():
            if name == "$ref":
                yield inner
            else:
                yield from references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from references(inner)


def test_every_route_is_described_under_a_name_of_its_own(description: dict[str, Any]) -> None:
    assert {(method, path) for method, path, _ in operations(description)} == ROUTES
    assert len({operation["operationId"] for _, _, operation in operations(description)}) == len(ROUTES)
    assert all(operation["summary"] and operation["description"] for _, _, operation in operations(description))


def test_every_reference_leads_somewhere(description: dict[str, Any]) -> None:
    found = set(references(description))
    assert "#/components/schemas/AcceptedJob" in found
    assert {name for name in found if name.removeprefix("#/components/schemas/") not in description["components"]["schemas"]} == set()


def test_every_instant_of_an_answer_is_text(description: dict[str, Any]) -> None:
    found = {}
    for name, schema in description["components"]["schemas"].items():
        for field, said in schema.get("properties", {}).items():
            if field in ("at", "from", "to", "since", "until", "coming") or field.endswith("_at"):
                forms = [form for form in said.get("anyOf", [said]) if form.get("type") != "null"]
                found[f"{name}.{field}"] = [form.get("items", form).get("format") for form in forms]
    assert len(found) > 40
    assert {where: form for where, form in found.items() if form != ["date-time"]} == {}


def test_bodies_and_answers_are_described(description: dict[str, Any]) -> None:
    for method, path, operation in operations(description):
        takes_a_body = method in ("post", "put") and not path.endswith(("/retry", "/resume", "/trigger", "/seal"))
        assert ("requestBody" in operation) == takes_a_body, path
        if takes_a_body:
            assert operation["requestBody"]["content"]["application/json"]["schema"]["properties"], path
        good = [answer for status, answer in operation["responses"].items() if status.startswith("2") and status != "204"]
        assert good, path
        assert all(answer["content"] for answer in good), path


def test_every_error_is_described_as_a_problem_of_a_known_kind(description: dict[str, Any]) -> None:
    named = set()
    for _, path, operation in operations(description):
        for status, answer in operation["responses"].items():
            if status >= "400":
                assert list(answer["content"]) == ["application/problem+json"], (path, status)
                named |= set(answer["description"].removeprefix("Problem: ").split(", "))
    assert named == KINDS.keys() - set(ANY_REQUEST)


def test_what_is_answered_to_each_bad_input_is_described(description: dict[str, Any]) -> None:
    described = {(method, path): operation["responses"] for method, path, operation in operations(description)}
    checked = 0
    for bad in BODIES + FIELDS + PATHS:
        path = bad.path if bad.path in ("/v1/jobs", "/v1/jobs/batch") else "/v1/jobs/{id}"
        answers = described.get((bad.method.lower(), path))
        if answers is not None and bad.path.startswith("/v1/jobs") and bad.kind not in ANY_REQUEST:
            assert bad.kind in answers[str(bad.status)]["description"], bad
            checked += 1
    assert checked > 80


async def test_the_description_is_served_and_there_is_no_page_that_loads_scripts_from_elsewhere(service: Service) -> None:
    answer = await service.http.get("/openapi.json")
    assert answer.json()["openapi"].startswith("3.")
    assert (await service.http.get("/redoc")).status_code == 404
