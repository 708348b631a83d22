"""Server-sent events, read from a real server: a job is followed to its end, and a queue end by end."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx
import pytest
from fastapi import FastAPI
from redis.asyncio import Redis

from runner import Runner, Worker, current_job
from runner.http import create_app, event_stream, router
from runner.store.keys import Keys
from tests.eventually import eventually
from tests.http.conftest import Gate, Service, serving, working
from tests.http.uvicorn_server import serving as serving_app
from tests.servers import free_port


class Event(NamedTuple):
    kind: str
    data: dict[str, Any]
    id: str


@asynccontextmanager
async def following(http: httpx.AsyncClient, path: str, last: str | None = None, **parameters: Any) -> AsyncIterator[AsyncIterator[Event]]:
    """The events of a stream, as a browser reads them."""
    headers = {} if last is None else {"Last-Event-ID": last}
    async with http.stream("GET", path, headers=headers, params=parameters) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        yield events_of(answer)


async def events_of(answer: httpx.Response) -> AsyncIterator[Event]:
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if name:
            fields[name] = value
        else:
            if "data" in fields:
                yield Event(fields["event"], json.loads(fields["data"]), fields.get("id", ""))
            fields = {}


# One job


async def test_a_job_is_followed_from_its_line_to_its_end(service: Service, worker: Worker, gate: Gate) -> None:
    job_id = await service.submit("held")
    await gate.started.wait()
    async with following(service.http, f"/v1/jobs/{job_id}/events") as events:
        first = await anext(events)
        assert (first.kind, first.data["id"], first.data["state"]) == ("state", job_id, "running")
        assert not {"args", "result", "error"} & first.data.keys()
        gate.open.set()
        last = await anext(events)
        assert (last.kind, last.data["state"]) == ("state", "succeeded")
        assert [event async for event in events] == []
    status = await service.http.get(f"/v1/jobs/{job_id}")
    assert status.headers["etag"] == f'W/"{last.id}"'


async def test_what_a_handler_says_of_its_progress_is_an_event_of_its_own(app: Runner, service: Service) -> None:
    steps = [asyncio.Event() for _ in range(3)]

    @app.task
    async def stepped() -> None:
        for done, step in enumerate(steps):
            current_job().progress(done, 3, f"step {done}")
            await step.wait()

    async with working(app):
        job_id = await service.submit("stepped")
        heard = []
        async with following(service.http, f"/v1/jobs/{job_id}/events") as events:
            async for event in events:
                heard.append(event)
                progress = event.data if event.kind == "progress" else event.data["progress"]
                if progress is not None:
                    steps[progress["done"]].set()

    kinds = [event.kind for event in heard]
    assert kinds[0] == kinds[-1] == "state"
    said = [event.data for event in heard if event.kind == "progress"]
    assert [(one["done"], one["total"], one["note"]) for one in said][-2:] == [(1, 3, "step 1"), (2, 3, "step 2")]
    assert heard[-1].data["state"] == "succeeded"
    assert heard[-1].data["progress"]["done"] == 2
    assert len({event.id for event in heard}) == len(heard)


async def test_a_place_in_line_is_told_as_it_moves(service: Service, worker: Worker) -> None:
    jobs = [await service.submit("scarce", args={"number": number}) for number in range(4)]
    async with following(service.http, f"/v1/jobs/{jobs[3]}/events") as events:
        while (await anext(events)).data["position"] != 2:
            pass
        await service.http.delete(f"/v1/jobs/{jobs[2]}")
        assert (await anext(events)).data["position"] == 1


async def test_what_was_seen_is_not_told_again_and_who_has_seen_the_end_is_sent_away(service: Service) -> None:
    job_id = await service.submit("held")
    async with following(service.http, f"/v1/jobs/{job_id}/events") as events:
        seen = await anext(events)
    async with following(service.http, f"/v1/jobs/{job_id}/events", seen.id) as events:
        await service.http.delete(f"/v1/jobs/{job_id}")
        end = await anext(events)
        assert end.data["state"] == "cancelled"
    again = await service.http.get(f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": end.id})
    assert (again.status_code, again.content) == (204, b"")
    async with following(service.http, f"/v1/jobs/{job_id}/events", seen.id) as events:
        assert [event.id async for event in events] == [end.id]


async def test_an_unknown_job_and_an_impossible_id_are_problems(service: Service) -> None:
    for path, status, kind in (("/v1/jobs/nothing/events", 404, "not-found"), ("/v1/jobs/a%20b/events", 422, "invalid-id")):
        answer = await service.http.get(path)
        assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{kind}")


async def test_listeners_of_many_jobs_share_the_calls(service: Service, redis: Redis) -> None:
    jobs = [await service.submit("held") for _ in range(50)]

    async def follow(job_id: str) -> list[str]:
        async with following(service.http, f"/v1/jobs/{job_id}/events") as events:
            return [event.data["state"] async for event in events]

    listeners = [asyncio.create_task(follow(job_id)) for job_id in jobs]
    await eventually(lambda: open_streams(service) == 50)
    before = await scripts_run(redis)
    await looks(4)
    assert await scripts_run(redis) - before < 30
    for job_id in jobs:
        await service.http.delete(f"/v1/jobs/{job_id}")
    assert await asyncio.gather(*listeners) == [["queued", "cancelled"]] * 50


async def scripts_run(redis: Redis) -> int:
    return int((await redis.info("commandstats"))["cmdstat_evalsha"]["calls"])


async def looks(count: int) -> None:
    """So many looks of those who listen."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + 0.5 * count
    await eventually(lambda: loop.time() >= end_s)


def open_streams(service: Service) -> int:
    return sum("EventStream._tell" in repr(task) for task in asyncio.all_tasks())


# All jobs


async def test_every_end_is_told_once_and_in_order_across_connections(service: Service, worker: Worker) -> None:
    told: list[str] = []
    async with following(service.http, "/v1/events") as events:
        opened = await anext(events)
        assert opened.kind == "open"
        jobs = [await service.submit("add", args={"left": number}) for number in range(10)]
        while len(told) < 5:
            event = await anext(events)
            assert (event.kind, event.data["task"], event.data["state"], event.data["missed"]) == ("end", "add", "succeeded", False)
            told.append(event.data["id"])
    jobs += [await service.submit("add", args={"left": number}) for number in range(10)]  # nobody listens now
    async with following(service.http, "/v1/events", event.id) as events:
        assert (await anext(events)).kind == "open"
        while len(told) < 20:
            told.append((await anext(events)).data["id"])
    assert sorted(told) == sorted(jobs)


async def test_who_came_before_the_first_event_goes_on_from_there(service: Service, worker: Worker) -> None:
    async with following(service.http, "/v1/events") as events:
        opened = await anext(events)
    job_id = await service.submit("add", args={"left": 1})
    await service.http.get(f"/v1/jobs/{job_id}", params={"wait": 20})
    async with following(service.http, "/v1/events", opened.id) as events:
        assert (await anext(events)).kind == "open"
        assert (await anext(events)).data["id"] == job_id


async def test_all_that_are_kept_are_told_to_who_asks_for_them(service: Service, worker: Worker) -> None:
    jobs = [await service.submit("add", args={"left": number}) for number in range(3)]
    for job_id in jobs:
        await service.http.get(f"/v1/jobs/{job_id}", params={"wait": 20})
    async with following(service.http, "/v1/events", "0") as events:
        await anext(events)
        assert {(await anext(events)).data["id"] for _ in jobs} == set(jobs)


async def test_only_ends_of_the_tasks_and_states_that_were_asked_for_are_told(service: Service, worker: Worker) -> None:
    async with following(service.http, "/v1/events", task=["broken", "echo"], state=["failed"]) as events:
        await anext(events)
        await service.submit("add", args={"left": 1})
        await service.submit("echo", args={"value": 1})
        broken = await service.submit("broken", args={"text": "no"})
        event = await anext(events)
        assert (event.data["id"], event.data["state"]) == (broken, "failed")


async def test_who_was_away_for_longer_than_the_history_is_told_that_events_are_missing(
    service: Service, worker: Worker, redis: Redis, queue: str
) -> None:
    async with following(service.http, "/v1/events") as events:
        await anext(events)
        await service.submit("add", args={"left": 1})
        first = await anext(events)
    jobs = [await service.submit("add", args={"left": number}) for number in range(3)]
    for job_id in jobs:
        await service.http.get(f"/v1/jobs/{job_id}", params={"wait": 20})
    await redis.xtrim(Keys(queue).history, maxlen=1, approximate=False)
    async with following(service.http, "/v1/events", first.id) as events:
        await anext(events)
        only = await anext(events)
        assert (only.data["missed"], only.data["id"] in jobs) == (True, True)


@pytest.mark.parametrize("last", ["x", "1-", "-1", "1-2-3", "9" * 20, "$", "+"])
async def test_what_is_no_id_of_an_event_is_refused(service: Service, last: str) -> None:
    answer = await service.http.get("/v1/events", headers={"Last-Event-ID": last})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/validation")


async def test_listeners_of_a_queue_share_one_call_for_each_look(service: Service, redis: Redis) -> None:
    async def follow() -> None:
        async with following(service.http, "/v1/events") as events:
            async for _ in events:
                pass

    listeners = [asyncio.create_task(follow()) for _ in range(50)]
    await eventually(lambda: open_streams(service) == 50)
    await looks(1)
    before = await pages_read(redis)
    await looks(4)
    assert await pages_read(redis) - before <= 12
    for listener in listeners:
        listener.cancel()
    await asyncio.gather(*listeners, return_exceptions=True)
    await eventually(lambda: open_streams(service) == 0)
    before = await pages_read(redis)
    await looks(2)
    assert await pages_read(redis) == before


async def pages_read(redis: Redis) -> int:
    return int((await redis.info("commandstats")).get("cmdstat_xrange", {"calls": 0})["calls"])


async def test_who_leaves_takes_the_next_look_from_nobody(service: Service, worker: Worker) -> None:
    async with following(service.http, "/v1/events") as events:
        await anext(events)
        for _ in range(3):
            async with following(service.http, "/v1/events") as others:
                await anext(others)
        job_id = await service.submit("add", args={"left": 1})
        assert (await anext(events)).data["id"] == job_id


# Bounds, heartbeats and stops


async def test_one_stream_too_many_is_refused_and_a_place_that_is_left_is_free(app: Runner) -> None:
    async with serving_app(create_app(app, most_streams=2)) as http:
        async with following(http, "/v1/events"), following(http, "/v1/events") as events:
            await anext(events)
            async with http.stream("GET", "/v1/events") as refused:
                assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")
                assert json.loads(await refused.aread())["type"] == "/problems/too-many-streams"

        async def is_free() -> bool:
            async with http.stream("GET", "/v1/events") as answer:
                return answer.status_code == 200

        await eventually(is_free)


async def test_a_silent_stream_has_heartbeats(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "HEARTBEAT_S", 0.05)
    async with service.http.stream("GET", "/v1/events") as answer:
        comments = 0
        async for line in answer.aiter_lines():
            comments += line == ":"
            if comments == 3:
                break


async def test_a_caller_who_does_not_read_is_given_up(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "LONGEST_SEND_S", 0.2)
    monkeypatch.setattr(event_stream, "HEARTBEAT_S", 0.0)
    monkeypatch.setattr(event_stream, "_COMMENT", b":" + b" " * 60_000 + b"\n\n")  # so that what lies between the two is soon full
    monkeypatch.setattr(event_stream, "_LAST_SEND_S", 0.1)
    url = httpx.URL(service.url)
    caller = socket.socket()
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)  # what it takes without reading is soon full
    caller.setblocking(False)
    await asyncio.get_running_loop().sock_connect(caller, (url.host, url.port or 0))
    _, writer = await asyncio.open_connection(sock=caller, limit=1024)
    try:
        writer.write(b"GET /v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n")
        await eventually(lambda: open_streams(service) == 1)
        await eventually(lambda: open_streams(service) == 0)
    finally:
        writer.close()


async def test_a_stop_ends_streams_at_once(app: Runner) -> None:
    async with serving(app.settings, app.queue) as service:
        job_id = await service.submit("held")
        async with following(service.http, "/v1/events") as ends, following(service.http, f"/v1/jobs/{job_id}/events") as changes:
            await anext(ends)
            await anext(changes)
            service.stopping.set()
            assert [event async for event in ends] == [event async for event in changes] == []
        await service.task


HOST = """
import sys, uvicorn
from fastapi import FastAPI
from runner import Runner
from runner.http import router
app = FastAPI()
app.include_router(router(Runner(sys.argv[2], redis_url=sys.argv[1])), prefix="/queue")
uvicorn.run(app, port=int(sys.argv[3]), log_level="warning")
"""


async def test_a_signal_ends_the_streams_and_waits_of_any_app_on_uvicorn(app: Runner, redis_url: str) -> None:
    port = free_port()
    host = await asyncio.create_subprocess_exec(sys.executable, "-c", HOST, redis_url, app.queue, str(port))
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as http:
            await eventually(lambda: answers(http))
            job_id = (await http.post("/queue/v1/jobs", json={"task": "held"})).json()["id"]
            waiting = asyncio.create_task(http.get(f"/queue/v1/jobs/{job_id}", params={"wait": 60}))
            async with following(http, "/queue/v1/events") as events:
                assert (await anext(events)).kind == "open"
                os.kill(host.pid, signal.SIGTERM)
                assert [event async for event in events] == []
            assert (await waiting).json()["state"] == "queued"
            async with asyncio.timeout(10):
                await host.wait()
    finally:
        if host.returncode is None:
            host.kill()
            await host.wait()


async def answers(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/queue/healthz")).is_success
    except httpx.TransportError:
        return False


async def test_streams_of_an_included_router_begin_under_its_prefix(app: Runner) -> None:
    host = FastAPI()
    host.include_router(router(app, most_streams=0), prefix="/queue")
    async with serving_app(host) as http:
        assert (await http.get("/queue/v1/events")).json()["type"] == "/queue/problems/too-many-streams"


async def test_a_stream_outlives_an_outage_and_says_so(app: Runner, private_server: Any, gate: Gate) -> None:
    other = Runner("shop", redis_url=private_server.url)

    @other.task
    async def work() -> None: ...

    async with serving_app(create_app(other)) as http, working(other), following(http, "/v1/events") as events:
        assert (await anext(events)).kind == "open"
        await asyncio.to_thread(private_server.stop)
        assert (await anext(events)).kind == "away"
        await asyncio.to_thread(private_server.start)
        assert (await anext(events)).kind == "open"
        job = await eventually(lambda: submitted(http))
        assert (await anext(events)).data["id"] == job
    await other.close()


async def submitted(http: httpx.AsyncClient) -> str | None:
    answer = await http.post("/v1/jobs", json={"task": "work"})
    return str(answer.json()["id"]) if answer.status_code == 202 else None
