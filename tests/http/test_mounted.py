"""The service as an app that another app mounts, and behind a proxy that strips a prefix: every link in an answer leads back to it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI

from runner import Client, ConfigurationError, Runner, Worker
from runner.http import create_app, router, serve
from runner.http.bodies import MAX_BYTES
from tests.http.conftest import serving as serving_alone
from tests.http.test_openapi import ROUTES
from tests.http.uvicorn_server import serving
from tests.topologies import queue_name


def shop(jobs: Runner, *mounted: tuple[str, FastAPI]) -> FastAPI:
    """An app with a lifespan whose state the mounted apps get too, and which closes the queue."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, str]]:
        yield {"greeting": "hello"}
        await jobs.close()

    shop = FastAPI(title="shop", lifespan=lifespan)
    for prefix, app in mounted:
        shop.mount(prefix, app)

    @shop.get("/hello")
    async def hello() -> str:
        return "hello"

    return shop


def mounted(jobs: Runner) -> FastAPI:
    return shop(jobs, ("/queue", create_app(jobs)))


def mounted_twice(jobs: Runner) -> FastAPI:
    outer = FastAPI()
    outer.mount("/outer", mounted(jobs))
    return outer


def included_in_a_mounted_app(jobs: Runner) -> FastAPI:
    inner, outer = FastAPI(), FastAPI()
    inner.include_router(router(jobs), prefix="/queue")
    outer.mount("/outer", inner)
    return outer


def included(jobs: Runner) -> FastAPI:
    app = FastAPI()
    app.include_router(router(jobs), prefix="/queue")
    return app


PLACES: list[tuple[str, Callable[[Runner], FastAPI], str, str]] = [
    ("mounted", mounted, "", "/queue"),
    ("mounted in a mounted app", mounted_twice, "", "/outer/queue"),
    ("included in a mounted app", included_in_a_mounted_app, "", "/outer/queue"),
    ("behind a proxy", create_app, "/proxy", "/proxy"),
    ("mounted, behind a proxy", mounted, "/proxy", "/proxy/queue"),
    ("included, behind a proxy", included, "/proxy", "/proxy/queue"),
    ("included in a mounted app, behind a proxy", included_in_a_mounted_app, "/a/proxy", "/a/proxy/outer/queue"),
]


@pytest.mark.parametrize(("build", "proxy", "base"), [pytest.param(*place[1:], id=place[0]) for place in PLACES])
async def test_every_link_begins_where_the_caller_reaches_the_service(
    app: Runner, build: Callable[[Runner], FastAPI], proxy: str, base: str
) -> None:
    def inside(link: str) -> str:
        """The path that a proxy sends to the server for a link."""
        assert link.startswith(base)
        return link.removeprefix(proxy)

    async with serving(build(app), root_path=proxy) as http:
        accepted = await http.post(inside(f"{base}/v1/jobs"), json={"task": "add", "args": {"left": 2}})
        assert accepted.status_code == 202
        assert accepted.headers["location"] == f"{base}/v1/jobs/{accepted.json()['id']}"
        assert (await http.get(inside(accepted.headers["location"]))).json()["id"] == accepted.json()["id"]
        assert (await http.get(inside(f"{base}/v1/jobs/x"), params={"wait": 1})).json()["type"] == f"{base}/problems/not-found"
        large = await http.post(inside(f"{base}/v1/jobs"), content=b" " * (MAX_BYTES + 1))
        assert (large.status_code, large.json()["type"]) == (413, f"{base}/problems/body-too-large")
        batch = await http.post(inside(f"{base}/v1/jobs/batch"), json={"jobs": [{"task": "nothing"}]})
        assert batch.json()["errors"][0]["type"] == f"{base}/problems/unknown-task"
        assert (await http.get(inside(large.json()["type"]))).text.startswith("body-too-large")
    await app.close()


async def test_a_mounted_app_has_problems_of_its_own_and_leaves_those_of_its_host_alone(app: Runner) -> None:
    async with serving(mounted(app)) as http:
        missing = await http.get("/queue/nothing")
        assert (missing.status_code, missing.json()["type"]) == (404, "/queue/problems/not-found")
        assert missing.json()["detail"].endswith("/queue/openapi.json lists the paths")
        other = await http.put("/queue/healthz")
        assert (other.status_code, other.json()["type"]) == (405, "/queue/problems/method-not-allowed")
        assert (await http.get("/nothing")).json() == {"detail": "Not Found"}
        assert (await http.get("/hello")).json() == "hello"


async def test_a_mounted_app_describes_itself_with_the_prefix_as_its_server(app: Runner) -> None:
    async with serving(mounted(app), root_path="/proxy") as http:
        described = (await http.get("/queue/openapi.json")).json()
        own = (await http.get("/openapi.json")).json()
    assert described["servers"] == [{"url": "/proxy/queue"}]
    assert {(method, path) for path, methods in described["paths"].items() for method in methods} == ROUTES
    assert list(own["paths"]) == ["/hello"]


async def test_mounted_apps_serve_their_own_queues_whatever_their_host_serves(app: Runner, worker: Worker) -> None:
    others = [Client(queue_name(), settings=app.settings) for _ in range(2)]
    outer = create_app(others[0])
    outer.mount("/shop", create_app(app))
    outer.mount("/other", create_app(lambda: others[1]))
    async with serving(outer) as http:
        tasks = [(await http.get(f"{prefix}/v1/tasks")).json()["tasks"] for prefix in ("", "/shop", "/other")]
        assert [bool(found) for found in tasks] == [False, True, False]
        job = (await http.post("/shop/v1/jobs", json={"task": "add", "args": {"left": 2}})).json()
        assert (await http.get(f"/shop/v1/jobs/{job['id']}", params={"wait": 20})).json()["result"] == 3
        assert (await http.get(f"/v1/jobs/{job['id']}")).status_code == 404
    for other in others:
        await other.close()


async def test_a_client_that_was_given_is_left_open_and_one_that_was_opened_is_closed(app: Runner) -> None:
    given, opened = (Client(app.queue, settings=app.settings) for _ in range(2))
    for service in (create_app(given), create_app(lambda: opened)):
        async with serving(service) as http:
            assert (await http.get("/v1/tasks")).status_code == 200
    assert await given.tasks()
    assert opened._sessions.here.is_closed
    await given.close()


async def test_the_server_is_told_of_its_proxy(app: Runner) -> None:
    async with serving_alone(app.settings, app.queue, root_path="/queue/") as service:
        accepted = await service.http.post("/v1/jobs", json={"task": "add", "args": {"left": 2}})
        assert accepted.headers["location"].startswith("/queue/v1/jobs/")
        assert (await service.http.get("/openapi.json")).json()["servers"] == [{"url": "/queue"}]


@pytest.mark.parametrize("root_path", ["queue", "/a b", "/q?x", "/%71", "/ü", "https://example.com/queue"])
async def test_a_prefix_that_is_none_is_refused(app: Runner, root_path: str) -> None:
    with pytest.raises(ConfigurationError, match="like /queue"):
        await serve(app.queue, settings=app.settings, port=0, root_path=root_path)
