"""The parameters of a request: each route refuses those it does not have, and names the one that is meant."""

import pytest
from fastapi import Depends, FastAPI, Request

from runner import Runner
from runner.http import create_app, router
from tests.http.conftest import Service
from tests.http.uvicorn_server import serving

OPERATIONS = [
    (
        method.upper(),
        path.replace("{id}", "j").replace("{name}", "add"),
        [p["name"] for p in operation.get("parameters", ()) if p["in"] == "query"],
    )
    for path, methods in create_app().openapi()["paths"].items()
    for method, operation in methods.items()
]


@pytest.mark.parametrize(("method", "path", "known"), OPERATIONS, ids=[f"{method} {path}" for method, path, _ in OPERATIONS])
async def test_no_route_ignores_a_parameter(service: Service, method: str, path: str, known: list[str]) -> None:
    names = ["zz", "", "A" * 3_000, "\ud7ff\x00", *(f"{name}x" for name in known)]
    for name in names:
        answer = await service.http.request(method, path, params={name: "1"}, json={} if method in ("POST", "PUT") else None)

        problem = answer.json()
        assert (answer.status_code, problem["type"]) == (422, "/problems/validation"), problem
        assert problem["errors"][0]["parameter"] == (name if len(name) <= 60 else f"{name[:59]}…")
        assert "unknown parameter" in problem["detail"]
        if name[:-1] in known:
            assert f"did you mean '{name[:-1]}'?" in problem["detail"]
        assert len(answer.content) < 2_000


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/v1/jobs/j?wait=1&wait=2", "wait: is given twice: give it once"),
        ("/v1/jobs/j?explain=", "explain: "),
        ("/v1/jobs/j?wait", "wait: "),
        ("/v1/jobs/j?wait=%ZZ", "wait: "),
        ("/v1/jobs/j?wait=nan", "wait: "),
        ("/v1/jobs/j?&=1", "'': unknown parameter"),
        ("/v1/audit?mots=5", "mots: unknown parameter; did you mean 'most'?"),
        ("/v1/workers?verbose=1", "verbose: unknown parameter; there are none here"),
        ("/healthz?x", "x: unknown parameter; there are none here"),
        ("/v1/events?after=zz", "after: unknown parameter; the parameters are task, state"),
        ("/v1/events?tasks=add", "tasks: unknown parameter; did you mean 'task'?"),
    ],
)
async def test_a_parameter_that_cannot_be_meant_is_refused_by_its_name(service: Service, path: str, said: str) -> None:
    answer = await service.http.get(path)

    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/validation")
    assert answer.json()["detail"].startswith(said)


async def test_what_may_be_given_several_times_may_be(service: Service) -> None:
    async with service.http.stream("GET", "/v1/events?task=add&task=echo&state=failed") as answer:
        assert answer.status_code == 200


async def test_who_has_no_key_is_told_that_first(app: Runner) -> None:
    await app.client.keys.create("one", preset="admin")
    async with serving(create_app(app)) as http:
        assert (await http.get("/v1/jobs/j?zz=1")).status_code == 401


async def test_an_app_that_includes_the_routes_may_have_parameters_of_its_own(app: Runner) -> None:
    def token(request: Request) -> str:
        return request.query_params["token"]

    guarded = FastAPI()
    guarded.include_router(router(app), dependencies=[Depends(token)])

    async with serving(guarded) as http:
        assert (await http.get("/v1/tasks?token=a&tokn=b")).status_code == 200
    await app.close()


async def test_a_mounted_service_refuses_them_too(app: Runner) -> None:
    whole = FastAPI()
    whole.mount("/queue", create_app(app))

    async with serving(whole) as http:
        answer = await http.get("/queue/v1/tasks?token=a")
        assert (answer.status_code, answer.json()["type"]) == (422, "/queue/problems/validation")
    await app.close()


@pytest.mark.parametrize("query", ["state=queued&" * 300, "&" * 30_000, "wait=1&" * 5_000], ids=["several", "empty", "once"])
@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/j", "/healthz"])
async def test_a_query_of_thousands_of_parameters_is_not_read(service: Service, path: str, query: str) -> None:
    answer = await service.http.get(f"{path}?{query}")

    assert answer.status_code == 422
    assert answer.json()["detail"] == "query: has more than 200 parameters: send fewer"


async def test_a_query_of_thousands_of_parameters_is_not_read_in_the_app_of_a_user_either(app: Runner) -> None:
    users = FastAPI()
    users.include_router(router(app), prefix="/queue")
    async with serving(users) as http:
        assert (await http.get("/queue/v1/jobs", params={"theirs": "1"})).status_code == 200
        answer = await http.get(f"/queue/v1/jobs?{'theirs=1&' * 300}")
    assert (answer.status_code, answer.json()["detail"]) == (422, "query: has more than 200 parameters: send fewer")
