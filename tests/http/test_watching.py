"""The stream of a watched queue: the overview whole and then its changes, a line, a job, what people change; and what it costs Redis."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from redis.asyncio import Redis

from runner import Runner, Worker
from tests.http.conftest import Gate, Service, serving
from tests.http.test_events import Event, following

SOON_S = 20


async def first(events: AsyncIterator[Event], kind: str) -> Event:
    async with asyncio.timeout(SOON_S):
        async for event in events:
            if event.kind == kind:
                return event
    raise AssertionError(f"the stream ended without {kind}")


async def test_the_overview_is_told_whole_and_then_what_changes_of_it(app: Runner, service: Service) -> None:
    async with following(service.http, "/v1/events", watch="overview") as events:
        whole = await first(events, "overview")
        assert whole.data["access"] == "write"
        assert {limit["name"] for limit in whole.data["limits"]} == {"slow", "tenant"}
        for number in range(3):
            await app.client.submit("scarce", {"number": number})
        while True:
            change = await first(events, "change")
            if "slow" in change.data.get("limits", {}):
                break

    told = change.data["limits"]["slow"]
    assert (told["waiting"], told["state"]) == (1, "no_worker")
    assert not {"name", "policy", "code"} & told.keys(), "what is as it was is not told again"
    assert "queue" not in change.data
    async with following(service.http, "/v1/events", last=change.id, watch="overview") as events:
        assert (await anext(events)).kind == "change", "who comes again soon is told what has changed meanwhile"
    async with following(service.http, "/v1/events", last="17", watch="overview") as events:
        assert (await anext(events)).kind == "overview"


async def test_a_line_is_told_beside_it(app: Runner, service: Service) -> None:
    ids = [(await app.client.submit("scarce", {"number": number})).id for number in range(5)]

    async with following(service.http, "/v1/events", watch="limit:slow") as events:
        line = (await first(events, "line")).data

    assert [job["id"] for job in line["jobs"]] == ids[2:]
    assert (line["bucket"], line["total"], line["jobs"][0]["place"]) == ("slow", 3, 1)
    page = (await service.http.get("/v1/limits/slow/waiting", params={"after": 1, "count": 1})).json()
    assert ([job["id"] for job in page["jobs"]], page["next"]) == ([ids[3]], 2)


async def test_a_job_is_told_when_it_changes(service: Service, worker: Worker, gate: Gate) -> None:
    job_id = await service.submit("held")
    await gate.started.wait()
    async with following(service.http, "/v1/events", watch=f"job:{job_id}") as events:
        assert (await first(events, "job")).data["state"] == "running"
        gate.open.set()
        ended = await first(events, "job")

    assert ended.data["state"] == "succeeded"
    assert "result" not in ended.data


async def test_what_somebody_changes_is_told_with_who_and_why(app: Runner, service: Service) -> None:
    await app.client.control.pause("slow", "before")
    async with following(service.http, "/v1/events", watch="overview") as events:
        await first(events, "overview")
        await asyncio.sleep(0.01)
        await app.client.control.pause("tenant", "migration")
        told = (await first(events, "audit")).data

    (line,) = [line for line in await app.client.audit() if line.target == "limit tenant"]
    assert (told["who"], told["act"], told["target"], told["why"]) == (line.by, "pause", "limit tenant", "migration")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"watch": "nothing"}, 422),
        ({"watch": "limit:"}, 422),
        ({"watch": "limit:nobody"}, 404),
        ({"watch": "job:take:x"}, 422),
        ({"watch": "overview", "task": "add"}, 422),
    ],
)
async def test_what_cannot_be_watched_is_refused(service: Service, query: dict[str, str], status: int) -> None:
    assert (await service.http.get("/v1/events", params=query)).status_code == status


async def test_a_key_that_may_not_see_everything_watches_no_more_than_that(app: Runner, service: Service) -> None:
    async def ask(what: str, **options: object) -> int:
        secret = (await app.client.keys.create("k", **options)).secret  # type: ignore[arg-type]
        async with service.http.stream(
            "GET", "/v1/events", params={"watch": what}, headers={"authorization": f"Bearer {secret}"}
        ) as answer:
            return answer.status_code

    assert await ask("overview", preset="observer") == 200
    assert await ask("overview", preset="producer") == 403
    assert await ask("overview", preset="observer", tenant="t7") == 403
    assert await ask("limit:slow", scopes=["jobs:read", "stats:read"]) == 403
    await app.client.submit("scarce", {"number": 1})
    await app.client.submit("scarce", {"number": 1})
    await app.client.submit("scarce", {"number": 1})
    secret = (await app.client.keys.create("k", preset="observer", tasks=["add"])).secret
    line = (await service.http.get("/v1/limits/slow/waiting", headers={"authorization": f"Bearer {secret}"})).json()
    assert [(job["place"], job["id"], job["task"]) for job in line["jobs"]] == [(1, None, None)]


async def _scripts(redis: Redis) -> int:
    return int((await redis.info("commandstats")).get("cmdstat_evalsha", {"calls": 0})["calls"])


@pytest.mark.parametrize("processes", [1, 3])
async def test_redis_is_read_once_a_second_however_many_watch_in_however_many_processes(
    app: Runner, queue: str, redis: Redis, processes: int
) -> None:
    async with AsyncExitStack() as held:
        services = [await held.enter_async_context(serving(app.settings, queue)) for _ in range(processes)]
        streams = [
            await held.enter_async_context(following(services[n % processes].http, "/v1/events", watch="overview")) for n in range(50)
        ]
        told = [await first(events, "overview") for events in streams]
        assert len(told) == 50
        scripts, made = await _scripts(redis), await _made(redis)
        begun_s = asyncio.get_running_loop().time()
        for _ in range(4):
            await asyncio.gather(*(first(events, "change") for events in streams))
        seconds = asyncio.get_running_loop().time() - begun_s

        calls, made = await _scripts(redis) - scripts, await _made(redis) - made
        assert 2 <= calls <= (seconds + 2) * processes, f"{calls} calls in {seconds:.1f} s"
        assert 2 <= made <= seconds / 0.9 + 2, f"{made} answers were made in {seconds:.1f} s"
    scripts = await _scripts(redis)
    await asyncio.sleep(1.5)
    assert await _scripts(redis) == scripts, "nobody looks, so nothing is read"


async def _made(redis: Redis) -> int:
    """How many overviews were made: each is written once."""
    return int((await redis.info("commandstats")).get("cmdstat_set", {"calls": 0})["calls"])


async def test_lines_are_read_once_for_all_who_watch_them(app: Runner, service: Service, redis: Redis) -> None:
    async with AsyncExitStack() as held:
        streams = [await held.enter_async_context(following(service.http, "/v1/events", watch="limit:slow")) for _ in range(20)]
        await asyncio.gather(*(first(events, "line") for events in streams))
        scripts, begun_s = await _scripts(redis), asyncio.get_running_loop().time()
        for _ in range(3):
            await asyncio.gather(*(first(events, "line") for events in streams))
        seconds = asyncio.get_running_loop().time() - begun_s

        assert await _scripts(redis) - scripts <= 5 * (seconds + 2), "the overview, and what one line costs"


@pytest.mark.parametrize(
    "path", ["/v1/limits/{name}/waiting", "/v1/limits/{name}/buckets", "/v1/limits/{name}/history", "/v1/events?watch=limit:{name}"]
)
@pytest.mark.parametrize("name", ["%C3%B8%C2%9C", "a%E2%80%AEb", "nobody", "%20"])
async def test_a_name_that_no_limit_has_is_refused(service: Service, path: str, name: str) -> None:
    answer = await service.http.get(path.format(name=name))

    assert answer.status_code in (404, 422), answer.text
