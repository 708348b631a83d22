"""The routes of a queue in a FastAPI app of a user, who has a lifespan, paths, errors and dependencies of their own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Header, HTTPException, Request

from runner import Client, Runner, Worker
from runner.http import create_app, router
from runner.http.bodies import MAX_BYTES
from runner.http.ndjson import MEDIA_TYPE
from tests.eventually import eventually
from tests.http.test_openapi import ROUTES, references
from tests.http.uvicorn_server import serving
from tests.topologies import queue_name

PREFIX = "/queue"


def shop(jobs: Runner, include: Callable[[FastAPI], None]) -> FastAPI:
    """An app that says hello, refuses what it does not know in words of its own, and closes its queue."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, str]]:
        yield {"greeting": "hello"}
        await jobs.close()

    shop = FastAPI(title="shop", lifespan=lifespan)
    include(shop)

    @shop.get("/hello")
    async def hello() -> str:
        return "hello"

    return shop


@pytest.fixture
async def http(app: Runner) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(shop(app, lambda shop: shop.include_router(router(app), prefix=PREFIX))) as http:
        yield http


async def test_a_job_is_submitted_and_followed_under_the_prefix(http: httpx.AsyncClient, worker: Worker) -> None:
    accepted = await http.post(f"{PREFIX}/v1/jobs", json={"task": "add", "args": {"left": 2, "right": 3}})
    assert accepted.status_code == 202
    assert accepted.headers["location"] == f"{PREFIX}/v1/jobs/{accepted.json()['id']}"
    ended = await http.get(accepted.headers["location"], params={"wait": 10, "explain": True})
    assert (ended.json()["state"], ended.json()["result"]) == ("succeeded", 5)
    assert (await http.get(accepted.headers["location"])).json()["id"] == accepted.json()["id"]
    assert (await http.get(f"{PREFIX}/readyz")).json() == {"status": "ok"}
    assert (await http.get("/hello")).json() == "hello"


async def test_an_error_is_a_problem_whose_type_leads_to_its_text(http: httpx.AsyncClient) -> None:
    for answer, kind in [
        (await http.post(f"{PREFIX}/v1/jobs", json={"task": "nothing"}), "unknown-task"),
        (await http.post(f"{PREFIX}/v1/jobs", content=b"{", headers={"content-type": "application/json"}), "invalid-json"),
        (await http.post(f"{PREFIX}/v1/jobs", content=b" " * (MAX_BYTES + 1)), "body-too-large"),
        (await http.post(f"{PREFIX}/v1/jobs/batch", json={"jobs": [{"task": "nothing"}]}), "batch-invalid"),
        (await http.get(f"{PREFIX}/v1/jobs/nothing"), "not-found"),
        (await http.get(f"{PREFIX}/v1/jobs/nothing", params={"wait": "long"}), "validation"),
        (await http.get(f"{PREFIX}/v1/limits/nothing"), "unknown-limit"),
    ]:
        assert answer.headers["content-type"] == "application/problem+json", kind
        assert answer.json()["type"] == f"{PREFIX}/problems/{kind}"
        assert (await http.get(answer.json()["type"])).text.startswith(kind)
    batch = (await http.post(f"{PREFIX}/v1/jobs/batch", json={"jobs": [{"task": "nothing"}]})).json()
    assert batch["errors"][0]["type"] == f"{PREFIX}/problems/unknown-task"


async def test_what_is_not_of_the_router_stays_as_the_app_has_it(http: httpx.AsyncClient) -> None:
    assert (await http.get("/nothing")).json() == {"detail": "Not Found"}
    assert (await http.put(f"{PREFIX}/healthz")).json() == {"detail": "Method Not Allowed"}


async def test_a_dependency_of_the_inclusion_guards_every_route(app: Runner) -> None:
    async def check_key(x_key: Annotated[str, Header()] = "") -> None:
        if x_key != "secret":
            raise HTTPException(401, "no key")

    guarded = shop(app, lambda shop: shop.include_router(router(app), prefix=PREFIX, dependencies=[Depends(check_key)]))
    async with serving(guarded) as http:
        for method, path in ROUTES:
            answer = await http.request(method, PREFIX + path.format(id="x", name="slow", limit="slow", key="t7"), json={})
            assert (answer.status_code, answer.json()) == (401, {"detail": "no key"}), path
        headers = {"x-key": "secret"}
        assert (await http.post(f"{PREFIX}/v1/jobs", json={"task": "add", "args": {"left": 1}}, headers=headers)).status_code == 202


async def test_an_app_serves_several_queues(app: Runner) -> None:
    other = Client(queue_name(), settings=app.settings)

    def include(shop: FastAPI) -> None:
        shop.include_router(router(app), prefix="/shop")
        shop.include_router(router(other), prefix="/other", include_in_schema=False)

    async with serving(shop(app, include)) as http:
        tasks = [(await http.get(f"{prefix}/v1/tasks")).json()["tasks"] for prefix in ("/shop", "/other")]
    await other.close()
    assert [bool(found) for found in tasks] == [True, False]


async def test_the_event_ends_requests_that_wait(app: Runner) -> None:
    stopping = asyncio.Event()
    async with serving(shop(app, lambda shop: shop.include_router(router(app, stopping=stopping)))) as http:
        job_id = (await http.post("/v1/jobs", json={"task": "held"})).json()["id"]
        waiting = asyncio.create_task(http.get(f"/v1/jobs/{job_id}", params={"wait": 60}))
        await eventually(lambda: any("JobHandle.wait" in repr(task) for task in asyncio.all_tasks()))
        stopping.set()
        assert (await waiting).json()["state"] == "queued"


def test_the_description_of_the_app_is_complete(app: Runner) -> None:
    described = shop(app, lambda shop: shop.include_router(router(app), prefix=PREFIX)).openapi()
    paths = {(method, path.removeprefix(PREFIX)) for path, methods in described["paths"].items() for method in methods}
    assert paths == ROUTES | {("get", "/hello")}
    models = described["components"]["schemas"]
    assert {name for name in references(described) if name.removeprefix("#/components/schemas/") not in models} == set()
    own: dict[str, Any] = create_app().openapi()["components"]["schemas"]
    assert {name: models[name] for name in own} == own


@pytest.mark.parametrize("reads", ["json", "body"])
async def test_a_body_that_the_app_has_read_before_is_not_waited_for(app: Runner, worker: Worker, reads: str) -> None:
    """So do error trackers: they read what a request sends before its route does."""
    host = FastAPI()

    async def tracked(request: Request) -> None:
        if request.headers["content-type"] == "application/json":
            await getattr(request, reads)()
        else:
            await request.body()

    host.include_router(router(app), prefix="/queue", dependencies=[Depends(tracked)])
    line = {"task": "add", "args": {"left": 1}}
    async with serving(host) as http:
        assert (await http.post("/queue/v1/jobs", json=line)).status_code == 202
        assert (await http.post("/queue/v1/jobs/batch", json={"jobs": [line, line]})).status_code == 202
        lines = await http.post("/queue/v1/jobs/batch", content=b'{"task":"add"}\n{"task":"none"}\n', headers={"content-type": MEDIA_TYPE})
        assert len(lines.text.splitlines()) == 2
        assert (await http.post("/queue/v1/limits/slow/pause", json={"reason": "lunch"})).json()["paused"]["reason"].endswith("lunch")
