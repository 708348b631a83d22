"""Over HTTP no caller chooses a bucket, or makes another job of the same call, by the way a value is spelled."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import AfterValidator, StringConstraints

from runner import Runner, TokenBucket, load_settings
from tests.app_internals import publish
from tests.eventually import eventually
from tests.http.conftest import Service, serving, working

ONE = UUID("0f8fad5b-d9cb-469f-a165-70867728950e")


def spellings() -> list[str]:
    """40 ways to write one UUID."""
    plain = [str(ONE), ONE.hex]
    mixed = ["".join(c.upper() if at % step == 0 else c for at, c in enumerate(text)) for text in plain for step in range(2, 24)]
    texts = dict.fromkeys([*plain, *(text.upper() for text in plain), *mixed])
    made = [*texts, *(f"urn:uuid:{text}" for text in texts if "-" in text), *(f"{{{text}}}" for text in texts if "-" in text)]
    return list(dict.fromkeys(made))[:40]


@pytest.fixture
async def shop(redis_url: str, queue: str) -> AsyncIterator[Runner]:
    """An app whose tasks take their keys from typed arguments."""
    app = Runner(queue, settings=load_settings(redis_url=redis_url, concurrency=10, drain_s=1.0))
    once = [TokenBucket(f"once-{name}", capacity=1, refill=1, every=3600, key="{tenant}") for name in ("uuid", "text", "int", "code")]
    folded = Annotated[str, StringConstraints(to_lower=True, strip_whitespace=True)]

    @app.task(limits=[once[0]])
    async def by_uuid(tenant: UUID) -> str:
        return str(tenant)

    @app.task(limits=[once[1]])
    async def by_text(tenant: folded) -> str:
        return str(tenant)

    @app.task(limits=[once[2]])
    async def by_int(tenant: int, at: datetime | None = None, note: str = "-") -> int:
        return tenant

    @app.task(limits=[once[3]])
    async def by_code(tenant: Annotated[str, AfterValidator(str.upper)]) -> str:
        return tenant

    await publish(app)
    yield app
    await app.close()


@pytest.fixture
async def service(shop: Runner) -> AsyncIterator[Service]:
    async with serving(shop.settings, shop.queue) as service:
        yield service


@pytest.mark.parametrize(
    ("task", "values"),
    [
        ("by_uuid", spellings()),
        ("by_text", ["acme", "ACME", " Acme", "acme\n", "\taCmE "]),
        ("by_int", [7, "7", 7.0, "007", "7.0"]),
    ],
)
async def test_all_spellings_of_one_key_give_one_start(shop: Runner, service: Service, task: str, values: list[Any]) -> None:
    async with working(shop):
        ids = [await service.submit(task, args={"tenant": value}) for value in values]
        answers = [(await service.http.get(f"/v1/jobs/{job_id}", params={"wait": 10 if job_id == ids[0] else 0})).json() for job_id in ids]

        assert [answer["state"] for answer in answers] == ["succeeded", *["waiting"] * (len(values) - 1)]
        assert len({answer["bucket"] for answer in answers[1:]}) == 1


def test_there_are_forty_spellings() -> None:
    assert len(spellings()) == 40
    assert {UUID(text) for text in spellings()} == {ONE}


async def test_the_same_call_spelled_otherwise_is_the_same_job(shop: Runner, service: Service) -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    first = await shop.tasks["by_int"].with_options(id="own").submit(7, at=noon)
    assert first.first_state.is_new
    for args in (
        {"tenant": "7", "at": "2026-03-01T12:00:00Z"},
        {"at": "2026-03-01T21:00:00+09:00", "note": "-", "tenant": 7.0},
        {"note": "-", "at": noon.timestamp(), "tenant": 7},
    ):
        answer = await service.http.post("/v1/jobs", json={"task": "by_int", "args": args, "id": "own"})
        assert (answer.status_code, answer.json().get("created")) == (200, False), answer.text

    other = {"task": "by_int", "args": {"tenant": 7, "at": "2026-03-01T12:00:01Z"}, "id": "own"}
    assert (await service.http.post("/v1/jobs", json=other)).status_code == 409


async def test_a_key_that_only_the_code_knows_is_refused_and_submitted_by_code(shop: Runner, service: Service) -> None:
    refused = await service.http.post("/v1/jobs", json={"task": "by_code", "args": {"tenant": "a"}})

    assert (refused.status_code, "whose form only the code knows (validator)" in refused.json()["detail"]) == (422, True)
    await shop.tasks["by_code"].submit("first")
    job = await shop.tasks["by_code"].submit("First")
    await eventually(lambda: _is_at(job, "once-code/FIRST"))


async def _is_at(job: Any, bucket: str) -> bool:
    return bool((await job.status()).bucket == bucket)


@pytest.mark.parametrize(
    ("task", "args"), [("by_uuid", {"tenant": "xyz"}), ("by_int", {"tenant": 7, "at": "tomorrow"}), ("by_int", {"tenant": 7.5})]
)
async def test_what_is_no_value_of_its_type_is_refused_and_takes_no_token(service: Service, task: str, args: dict[str, Any]) -> None:
    answer = await service.http.post("/v1/jobs", json={"task": task, "args": args})

    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/validation")
