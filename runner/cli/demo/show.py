"""The demonstration: jobs that call a metered service, submitted over HTTP, run by workers of which one is killed; then a summary."""

import asyncio
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
from rich.console import Console

from runner.cli.demo.children import Children
from runner.cli.demo.measured import Run, findings, shortest_s
from runner.cli.demo.tasks import METERED, call_metered, jobs
from runner.cli.demo.upstream import CALL_S, JITTER_S, PRICE_EUR, Upstream, serving
from runner.cli.demo.view import Snapshot, View
from runner.client import Client, session_of
from runner.clock import MICROSECONDS, monotonic_s
from runner.connection import EmbeddedServer
from runner.errors import RunnerError
from runner.jobs import JobStatus, State
from runner.limits import TokenBucket

WORKERS = 2
LEASE_S = 3.0
TICK_S = 0.1
PATIENCE_S = 20.0
"""How much longer than the limit permits a run may take before it is abandoned."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """How many jobs there are, and the limit that the service enforces, which should be the one that the workers keep."""

    jobs: int = 60
    enforced: TokenBucket = METERED


async def run(console: Console, scenario: Scenario | None = None, *, keep: bool = False) -> int:
    """Run the demonstration. Returns the exit code: 0 if everything measured is as promised. keep: go on until it is stopped, to look around."""
    scenario = scenario or Scenario()
    upstream, view = Upstream(scenario.enforced), View(console, METERED)
    _introduce(view, scenario)
    with EmbeddedServer.private() as server, Children() as children:
        async with serving(upstream) as port, Client(jobs.queue, redis_url=server.url) as client:
            api_url = await _started(children, server.url)
            view.say(f"service http://127.0.0.1:{port}  api {api_url}  {WORKERS} workers", "dim")
            view.say(f"dashboard {api_url}/ui/\n")
            ids = await _submitted(api_url, port, scenario.jobs)
            with view:
                statuses = await _Stage(client, upstream, view, ids).played()
            found = findings(await _measured(client, upstream, statuses), METERED)
            view.conclude(found)
            if keep:
                view.say(f"dashboard {api_url}/ui/ until Ctrl-C")
                await asyncio.Event().wait()
    return 0 if all(finding.is_right for finding in found) else 1


def _introduce(view: View, scenario: Scenario) -> None:
    every_s = METERED.every_us / MICROSECONDS
    view.say(f"{scenario.jobs} jobs, each one HTTP call to a metered service, for {PRICE_EUR:g} EUR a call.")
    view.say(f"It permits {METERED.capacity} at once and {METERED.refill} more every {every_s:g} s, with {JITTER_S:g} s of tolerance.")


async def _started(children: Children, redis_url: str) -> str:
    """Start the API and the workers. Returns the URL of the API, once all of them are ready."""
    common = ("--app", "runner.cli.demo.tasks:jobs", "--redis-url", redis_url, "--json")
    children.start("api", "api", "--port", "0", *common)
    names = [f"worker {number}" for number in range(1, WORKERS + 1)]
    for name in names:
        children.start(name, "worker", "--lease", f"{LEASE_S:g}", "--drain", "1", "--record-starts", *common)
    for name in names:
        await children.heard(name, "working")
    return (await children.heard("api", "listening"))["url"]


async def _submitted(api_url: str, port: int, count: int) -> list[str]:
    """Submit over HTTP. Returns the ids of the jobs. Raises `RunnerError`."""
    wanted = [{"task": call_metered.name, "args": {"number": number, "port": port}} for number in range(count)]
    async with httpx.AsyncClient(base_url=api_url, trust_env=False) as http:
        answer = await http.post("/v1/jobs/batch", json={"jobs": wanted})
    if answer.status_code != httpx.codes.ACCEPTED:
        raise RunnerError(f"the API refused the jobs: {answer.status_code} {answer.text[:500]}")
    return [job["id"] for job in answer.json()["jobs"]]


async def _measured(client: Client, upstream: Upstream, statuses: Sequence[JobStatus | None]) -> Run:
    return Run(
        starts_us=[start.at_us for start in await session_of(client).store.starts()],
        submitted=len(statuses),
        done=sum(job is not None and job.state is State.succeeded and upstream.answers(number) > 0 for number, job in enumerate(statuses)),
        lost=sum(job is None or not job.state.is_final for job in statuses),
        calls=upstream.accepted + upstream.refused,
        refused=upstream.refused,
        price_eur=upstream.price_eur,
    )


class _Stage:
    """One run: watches the jobs, shows them, and kills a worker halfway."""

    def __init__(self, client: Client, upstream: Upstream, view: View, ids: Sequence[str]) -> None:
        self._client = client
        self._upstream = upstream
        self._view = view
        self._ids = ids
        self._began_s = monotonic_s()
        self._killed: int | None = None
        self._has_shown_return = False

    async def played(self) -> list[JobStatus | None]:
        """The jobs, once all are final or the time is up."""
        until_s = shortest_s(METERED, len(self._ids)) + PATIENCE_S
        while True:
            statuses = await self._client.statuses(self._ids)
            now = await self._snapshot(statuses)
            self._view.show(now)
            if now.done + now.failed == len(statuses) or now.elapsed_s > until_s:
                return statuses
            if self._killed is None and now.done >= len(statuses) // 2:
                await self._kill_a_worker(only_leader=now.done < len(statuses) * 2 // 3)
            elif not self._has_shown_return and any(job is not None and job.crashes and job.state is State.running for job in statuses):
                self._has_shown_return = True
                self._view.tell(self._elapsed_s, "its jobs run again on the other worker")
            await asyncio.sleep(TICK_S)

    async def _snapshot(self, statuses: Sequence[JobStatus | None]) -> Snapshot:
        states = [job.state for job in statuses if job is not None]
        etas = [job.eta_s for job in statuses if job is not None and job.eta_s is not None]
        buckets = [bucket for limit in await self._client.limits() if limit.name == METERED.name for bucket in limit.buckets]
        return Snapshot(
            elapsed_s=self._elapsed_s,
            tokens=buckets[0].tokens if buckets else METERED.capacity,
            next_token_s=(buckets[0].next_token_s or 0.0) if buckets else 0.0,
            waiting=sum(state in (State.waiting, State.queued, State.scheduled) for state in states),
            running=states.count(State.running),
            done=states.count(State.succeeded),
            failed=sum(state.is_final and state is not State.succeeded for state in states),
            eta_s=max(etas) + CALL_S if etas else None,
        )

    async def _kill_a_worker(self, *, only_leader: bool) -> None:
        """SIGKILL a worker while its calls are in their first half, so that their answers are lost."""
        for worker in await self._client.workers():
            pid = worker.pid or 0
            arrivals_s = self._upstream.under_way(str(pid))
            if (worker.leader or not only_leader) and arrivals_s and monotonic_s() - arrivals_s[-1] < CALL_S / 2:
                os.kill(pid, signal.SIGKILL)
                self._killed = pid
                role = "the leader of the two workers" if worker.leader else "one of the two workers"
                calls = "1 call" if len(arrivals_s) == 1 else f"{len(arrivals_s)} calls"
                self._view.tell(self._elapsed_s, f"kill -9 {pid}, {role}, with {calls} under way")
                return

    @property
    def _elapsed_s(self) -> float:
        return monotonic_s() - self._began_s
