"""What OpenAPI says of texts and numbers is what the client takes."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from runner import Control, JobFilter, Pauses, Runner, TokenBucket
from runner.client.audit import _LINE_ID
from runner.client.history import checked_names
from runner.client.pauses import pausable
from runner.client.reasons import LONGEST_REASON, checked_reason
from runner.errors import ConfigurationError, InvalidJobId, RunnerError
from runner.http import forms
from runner.http.app import create_app
from runner.jobs.event import _EVENT_ID
from runner.jobs.filter import REASONS, question_of
from runner.jobs.job import TICKET
from runner.jobs.known_id import check_known_id
from runner.jobs.metadata import metadata_of_options
from runner.jobs.schedule import check_schedule_name
from runner.jobs.tags import checked_tags
from runner.ranges import RANGES
from tests.http.conftest import Service, serving

NUMBERS = {
    "deadline",
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
    "size",
}


def known_as(operation: str, name: str) -> str:
    """What the ranges call a number."""
    of_schedules = {"every": "interval", "grace": "grace of a schedule", "jitter": "jitter of a schedule"}
    return (
        {"expected": "jobs of a bulk", "size": "size of a batch", "deadline": "deadline of a job"}
        | (of_schedules if "schedule" in operation else {})
    ).get(name, name)


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


LINES = [
    "a",
    "send mail",
    "ü",
    "👨‍👩‍👧",
    "a\u00a0b",
    "",
    "a\n",
    "a\tb",
    "a\x00",
    "a\x85",
    "\u2028",
    "\u202e",
    "\u2066",
    "x" * 200,
    "x" * 201,
]
SHORT_NAMES = ["a", "A.b_c-9", "x" * 64, "x" * 65, "", "a b", "a\n", "ü", "a/b", "a:b"]
BUCKETS = ["a", "a/b", "a/%C3%BC", "a/ü", "a/", "/b", "a b", "a/b c", "a/" + "x" * 64, "a/" + "x" * 65, "a/%E2~0", "a/b/c", "a/b\n"]
TASKS = [*LINES, "*", "billing.*", "a*b", "**", "x" * 200 + "*", "x" * 201 + "*"]
TAGS = ["a", "a:b", "a b", "", "ü", "x" * 64, "x" * 65, "a\n"]
ID_PREFIXES = ["", "a", "t7/o-", "a b", "x" * 200, "x" * 201, "a\n"]
SERIES = [
    "q",
    "t:a",
    "l:a",
    "",
    "q\n",
    "t:",
    "l:",
    "l:a b",
    "x:a",
    *(f"t:{line}" for line in LINES),
    *(f"l:{name}" for name in SHORT_NAMES),
]


def filter_takes(name: str) -> Callable[[str], object]:
    return lambda text: JobFilter(**{name: text})  # type: ignore[arg-type] # one of its texts


TEXTS: list[tuple[dict[str, Any], Callable[[str], object], list[str]]] = [
    (forms.SHORT_NAME, filter_takes("limit"), SHORT_NAMES),
    (forms.SHORT_NAME, filter_takes("pool"), SHORT_NAMES),
    (forms.SHORT_NAME, filter_takes("schedule"), SHORT_NAMES),
    (forms.SHORT_NAME, lambda text: pausable("pool", text), SHORT_NAMES),
    (forms.SHORT_NAME, check_schedule_name, SHORT_NAMES),
    (forms.SHORT_NAME, lambda text: TokenBucket(text, rate="1/s"), SHORT_NAMES),
    (forms.BUCKET, filter_takes("bucket"), BUCKETS),
    (forms.TASKS, filter_takes("task"), TASKS),
    (forms.TAG, filter_takes("tag"), TAGS),
    (forms.TAG, lambda text: checked_tags([text]), TAGS),
    (forms.ERROR, filter_takes("error"), LINES),
    (forms.ID_PREFIX, filter_takes("id_prefix"), ID_PREFIXES),
    (forms.SERIES, lambda text: checked_names([text]), SERIES),
    (forms.LINE, checked_reason, LINES),
    (forms.METADATA["json_schema_extra"]["propertyNames"], lambda text: metadata_of_options({text: 1}), LINES),
    (forms.NAME_ON_A_LINE, lambda text: pausable("task", text), LINES),
    (forms.KEY_SAID, lambda text: pausable("key", f"a/{text}"), [line for line in LINES if line]),
]


@pytest.mark.parametrize(("form", "take", "texts"), TEXTS)
def test_what_openapi_says_of_a_text_is_what_the_client_takes(
    form: dict[str, Any], take: Callable[[str], object], texts: list[str]
) -> None:
    pattern = form.get("json_schema_extra", form)["pattern"]
    assert pattern.startswith("^")
    assert pattern.endswith("$")
    for text in texts:
        taken = True
        try:
            take(text)
        except RunnerError:
            taken = False
        said = f"a/{text}" if form is forms.KEY_SAID else text
        # Other languages have no end of a text before its last newline, as `$` is in Python.
        assert bool(re.search(pattern[:-1] + r"\Z", said)) == taken, repr(text)


def test_the_reasons_of_a_filter_are_those_that_the_client_takes() -> None:
    assert forms.REASONS == REASONS
    assert Pauses.LONGEST_TEXT == Control.LONGEST_TEXT == forms.MOST_LINE == LONGEST_REASON


ANY_TEXT = {
    "Prefer": "RFC 7240: what is not understood is ignored",
    "If-None-Match": "RFC 9110: what is no version of this job is none that the caller has",
    "last-event-id": "of one job, as If-None-Match",
    "target": "words to look for in the audit",
    "find": "what to look for in names and keys",
    "cursor": "sealed: only an answer has it",
    "since": "a time as people say it",
    "duration": "a time as providers say it",
    "rate": "a rate as people say it",
    "cron": "what a calendar reads",
    "tz": "a name of the tz database",
    "key": "a template of arguments",
    "task": "of a submission, and of events: a name that nobody has is unknown",
}
"""Texts of any form, and why."""
OF_ANY_FORM = {
    "POST /v1/jobs": {"task", "key"},
    "POST /v1/jobs/batch": {"task", "key"},
    "POST /v1/batches": {"task", "key"},
    "POST /v1/schedules": {"key"},
    "PUT /v1/schedules/{name}": {"key"},
    "GET /v1/events": {"task"},
}
"""Where these names are such texts; elsewhere they have a form."""


def texts_in(schema: dict[str, Any], name: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every text of a parameter or a body that says nothing of its form, with its name."""
    if schema.get("type") == "string" and not {"pattern", "enum", "format", "const"} & set(schema):
        yield name, schema
    for inner in (
        *schema.get("anyOf", ()),
        *(schema[key] for key in ("items", "additionalProperties") if isinstance(schema.get(key), dict)),
    ):
        yield from texts_in(inner, name)
    narrower = {field for option in schema.get("oneOf", ()) for field in option["properties"]}
    for field, inner in schema.get("properties", {}).items():
        if field not in narrower:
            yield from texts_in(inner, field)


def test_every_text_of_a_request_has_a_form_or_a_reason_to_have_none() -> None:
    found = set()
    for path, methods in create_app().openapi()["paths"].items():
        for method, operation in methods.items():
            schemas = {one["name"]: one["schema"] for one in operation.get("parameters", ())}
            bodies = [content["schema"] for content in operation.get("requestBody", {}).get("content", {}).values()]
            of_any_form = {name for body in bodies for name, _ in texts_in(body)} | {
                name for at in schemas for name, _ in texts_in(schemas[at], at)
            }
            where = f"{method.upper()} {path}"
            assert of_any_form <= set(ANY_TEXT), where
            assert of_any_form & {"task", "key"} <= OF_ANY_FORM.get(where, set()), where
            found |= of_any_form
            for schema in schemas.values():
                assert schema.get("type") != "array" or "maxLength" not in schema, f"{where}: the most of a list is maxItems"
    assert found == set(ANY_TEXT)


def parameter(path: str, name: str) -> str:
    """The pattern of a parameter."""
    (found,) = [one for one in create_app().openapi()["paths"][path]["get"]["parameters"] if one["name"] == name]
    return str(found["schema"]["pattern"])


@pytest.mark.parametrize(
    "job_id",
    ["a", "A.b_c:d-9", "x" * 128, "x" * 129, "", "a b", "a\n", "ü", f"{TICKET}1", "retake:1", "a/b", "a/b/c", "/b", "a/", f"a/{TICKET}1"],
)
def test_the_pattern_of_a_job_id_is_what_the_client_takes(job_id: str) -> None:
    taken = True
    try:
        check_known_id(job_id)
    except InvalidJobId:
        taken = False
    pattern = parameter("/v1/jobs/{id}", "id").removesuffix("$")
    assert bool(re.fullmatch(pattern, job_id)) == taken


def test_the_patterns_of_ids_in_streams_are_what_the_client_takes() -> None:
    assert parameter("/v1/events", "last-event-id") == f"^{_EVENT_ID.pattern}$"
    assert parameter("/v1/audit", "after") == f"^({_LINE_ID.pattern})?$"


def test_an_instant_before_1970_asks_for_nothing_and_a_number_below_0_is_refused() -> None:
    long_ago = datetime(136, 7, 17, tzinfo=UTC)
    assert json.loads(question_of(JobFilter(submitted_from=long_ago, ended_to=long_ago)))["ended_to"] == "0"
    with pytest.raises(ConfigurationError):
        JobFilter(ended_to=-1.0)


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


BESIDES_A_REASON: dict[str, dict[str, Any]] = {
    "POST /v1/bulk": {"action": "cancel", "filter": {}},
    "POST /v1/pauses": {"what": "queue"},
    "PUT /v1/limits/{name}": {"capacity": 7},
    "POST /v1/limits/{name}/freeze": {"duration": 1.0},
}
"""What else these bodies need."""


async def test_a_reason_that_is_no_line_is_refused_wherever_one_is_given(service: Service) -> None:
    found = 0
    for path, methods in create_app().openapi()["paths"].items():
        for method, operation in methods.items():
            bodies = [content["schema"] for content in operation.get("requestBody", {}).get("content", {}).values()]
            where = f"{method.upper()} {path}"
            options: dict[str, Any] | None = None
            if any("reason" in body.get("properties", {}) for body in bodies):
                options = {"json": BESIDES_A_REASON.get(where, {}) | {"reason": "a\x84"}}
            elif where == "DELETE /v1/jobs/{id}/record":
                options = {"params": {"reason": "a\x84"}}
            if options is not None:
                answer = await service.http.request(method, path.format(name="slow", id="x"), **options)
                assert answer.status_code == 422, where
                (fault,) = answer.json()["errors"]
                assert (fault.get("pointer", "#/reason"), "one line" in fault["detail"]) == ("#/reason", True), where
                found += 1
    assert found >= len(BESIDES_A_REASON) + 4


@pytest.mark.parametrize("path", ["/v1/limits", "/v1/limits/slow/buckets"])
async def test_a_page_does_not_begin_after_what_is_no_name(service: Service, path: str) -> None:
    assert (await service.http.get(path, params={"cursor": "a\x84"})).status_code == 422
    assert (await service.http.get(path, params={"cursor": "a"})).status_code == 200
