"""The command worker: one process that runs jobs, or a supervisor of several."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from runner.cli.loading import deferred, load_served
from runner.cli.log_format import LogFormatOption, log_to_stderr
from runner.cli.options import AsJson, OwnApp, RedisUrl
from runner.cli.output import although_unread, say, say_json
from runner.cli.probes import Ports, answering, answering_for_all, port_of
from runner.cli.processes import Concurrency, Verbose, announce, embedded_for, run, server_of
from runner.cli.recycling import Recycling, parse_size
from runner.cli.signals import Signals, stoppable
from runner.cli.supervised import Supervised
from runner.cli.supervisor import INTERRUPTED, Supervisor
from runner.cli.times import TIME
from runner.cli.until_idle import in_words, until_idle
from runner.client import Runner
from runner.connection import redis_url
from runner.errors import ConfigurationError
from runner.garbage import Garbage
from runner.settings import Settings, load_settings
from runner.store import JobStore
from runner.worker import Worker

_code_changes = deferred("runner.cli.reload:changes")

Lease = Annotated[
    float | None,
    typer.Option("--lease", **TIME, help='Time after which a silent worker has lost its jobs: seconds, or "1m" (10).', show_default=False),
]
Drain = Annotated[
    float | None,
    typer.Option("--drain", **TIME, help='Time in which running jobs may finish after SIGTERM: seconds, or "5m" (30).', show_default=False),
]
RecordStarts = Annotated[bool, typer.Option("--record-starts", help="Log every start in Redis, to measure the rate.")]
Processes = Annotated[
    int | None,
    typer.Option("--processes", "-p", min=1, max=1_000, help="Worker processes, which a supervisor keeps at work.", show_default=False),
]
MaxJobs = Annotated[
    int | None,
    typer.Option("--max-jobs", min=1, help="Jobs after which a process is replaced, less up to a tenth.", show_default=False),
]
MaxMemory = Annotated[
    str | None,
    typer.Option("--max-memory", help="Memory above which a process is replaced, like 500M; with its children.", show_default=False),
]
Reload = Annotated[bool, typer.Option("--reload", help="For development: start anew when a Python file changes.")]
ReloadDir = Annotated[
    str | None, typer.Option("--reload-dir", help="The folder that --reload watches; otherwise the current one.", show_default=False)
]
UntilIdle = Annotated[
    bool, typer.Option("--until-idle", help="End once nothing is left to do; with 1 if a job has failed for good meanwhile.")
]
Pools = Annotated[
    list[str] | None, typer.Option("--pool", help="A pool whose jobs it runs; may be given again (default).", show_default=False)
]
MetricsPort = Annotated[
    int | None,
    typer.Option("--metrics-port", help="Answer Prometheus there at /metrics; 0 takes a free port (no).", show_default=False),
]
MetricsHost = Annotated[
    str | None, typer.Option("--metrics-host", help="The address to answer Prometheus on (127.0.0.1).", show_default=False)
]
HealthPort = Annotated[
    int | None,
    typer.Option("--health-port", help="Answer probes there at /healthz and /readyz; 0 takes a free port (no).", show_default=False),
]
HealthHost = Annotated[str | None, typer.Option("--health-host", help="The address to answer probes on (127.0.0.1).", show_default=False)]
InSupervisor = Annotated[str | None, typer.Option("--supervised", hidden=True)]

_RELOAD_DRAIN_S = 2.0
"""What runs longer when its code changes goes back to the queue: its developer waits."""


@stoppable()
def worker(
    app: OwnApp = None,
    redis_url: RedisUrl = None,
    concurrency: Concurrency = None,
    lease: Lease = None,
    drain: Drain = None,
    pool: Pools = None,
    processes: Processes = None,
    max_jobs: MaxJobs = None,
    max_memory: MaxMemory = None,
    reload: Reload = False,
    reload_dir: ReloadDir = None,
    until_idle: UntilIdle = False,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = None,
    health_port: HealthPort = None,
    health_host: HealthHost = None,
    record_starts: RecordStarts = False,
    json: AsJson = False,
    verbose: Verbose = False,
    log_format: LogFormatOption = None,
    supervised: InSupervisor = None,
) -> int:
    """Run jobs until stopped. SIGTERM or Ctrl-C lets running jobs finish; a second one stops at once and gives them back.

    With --processes, SIGHUP replaces the workers one after the other, each once the new one works.
    """
    if supervised is None and (processes or max_jobs or max_memory or reload):
        most_drain = _RELOAD_DRAIN_S if drain is None else min(drain, _RELOAD_DRAIN_S)
        given = {
            "--app": app,
            "--redis-url": redis_url,
            "--concurrency": concurrency,
            "--lease": lease,
            "--drain": most_drain if reload else drain,
            "--pool": ",".join(pool or ()),
            "--max-jobs": max_jobs,
            "--max-memory": max_memory,
            "--metrics-host": metrics_host,
            "--record-starts": record_starts,
            "--json": json,
            "--verbose": verbose,
            "--log-format": log_format,
        }
        watched = reload_dir or "." if reload else None
        settings = load_settings(drain_s=given["--drain"], metrics_port=metrics_port, health_port=health_port, health_host=health_host)
        return _supervise(given, settings, processes or 1, watched, until_idle=until_idle, as_json=json)
    recycling = Recycling(max_jobs or 0, 0 if max_memory is None else parse_size(max_memory))
    options = {
        "redis_url": redis_url,
        "concurrency": concurrency,
        "drain_s": drain,
        "pools": ",".join(pool) if pool else None,
        "record_starts": record_starts or None,
        "metrics_port": metrics_port,
        "metrics_host": metrics_host,
        "health_port": health_port,
        "health_host": health_host,
        **_lease_options(lease),
    }
    line = Supervised(supervised)
    runner = load_served(app, **options)
    log_to_stderr(verbose=verbose, log_format=log_format)
    if (folder := embedded_for(runner)) is not None:
        line.needs_server(str(folder))
    with server_of(runner) as server:
        with although_unread():
            announce("worker", runner, server, as_json=json)
        ports = Ports.of(runner.settings, is_supervised=supervised is not None)
        code: int = run(_Work(runner, line, recycling, ports, until_idle=until_idle, as_json=json).run())
        return code


def _lease_options(lease: float | None) -> dict[str, float]:
    """A lease, and the pauses between renewals and between looks for lapsed leases in proportion to it."""
    return {} if lease is None else {"lease_s": lease, "renew_s": lease * 0.3, "reclaim_s": min(2.0, lease * 0.2)}


def _report(text: str, fields: dict[str, Any], *, as_json: bool) -> None:
    """Say it, if anybody reads it still."""
    with although_unread():
        if as_json:
            say_json(fields)
        else:
            say(text)


def _answers(name: str, host: str, port: int, *, as_json: bool) -> None:
    """Say where probes or metrics are asked for."""
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}/{'metrics' if name == 'metrics' else 'readyz'}"
    _report(f"  {name:<7} {url}", {"event": "answering", "kind": name, "url": url}, as_json=as_json)


def _supervise(given: dict[str, Any], settings: Settings, processes: int, watched: str | None, *, until_idle: bool, as_json: bool) -> int:
    """Keep so many workers at work, with these options."""
    if sys.platform == "win32":
        raise ConfigurationError("--processes, --max-jobs, --max-memory and --reload need fork and signals: Windows has none")
    if given["--max-memory"] is not None:
        parse_size(given["--max-memory"])
    if watched is not None and not Path(watched).is_dir():
        raise ConfigurationError(f"--reload-dir {watched!r} is no folder")
    options: list[str] = []
    for option, value in given.items():
        options += [option] if value is True else [option, str(value)] if value not in (None, False, "") else []

    def report(event: str, text: str, **fields: Any) -> None:
        _report(f"supervisor: {text}", {"event": event, "text": text, **fields}, as_json=as_json)

    def own_options(place: int) -> list[str]:
        port = port_of(settings.metrics_port, place)
        return ["--until-idle"] * (until_idle and place == 1) + ([] if port is None else ["--metrics-port", str(port)])

    async def supervise() -> int:
        supervisor = Supervisor(
            options,
            report,
            processes=processes,
            drain_s=settings.drain_s,
            own_options=own_options,
            changes=None if watched is None else _code_changes(watched),
        )
        answers = partial(_answers, as_json=as_json)
        async with answering_for_all(lambda: supervisor.readiness, settings, answers):
            return await supervisor.run()

    return asyncio.run(supervise())


@dataclass(slots=True)
class _Work:
    """One worker of this process, from its start to its end."""

    runner: Runner
    line: Supervised
    recycling: Recycling
    ports: Ports
    until_idle: bool
    as_json: bool

    async def run(self) -> int:
        """The exit code."""
        worker, drain_s = Worker(self.runner), self.runner.settings.drain_s
        with Signals(worker.stop, drain_s, lambda: worker.state.delivering_s) as signals, _background() as start:
            self.line.when_left(signals.drain)
            answers = partial(_answers, as_json=self.as_json)
            async with answering(worker, self.runner, self.ports, answers, waits=self.line.is_held):
                start(self._tell(worker))
                start(self._recycle(worker, signals.drain))
                start(self._keep_garbage_in_hand(worker))
                idle = start(self._leave_when_idle(worker, signals.drain)) if self.until_idle else None
                await worker.run()
            code: int = idle.result() if idle is not None and idle.done() else 0
        rest = "other workers run its jobs once its lease lapses" if worker.state.is_enlisted else "nothing is left behind"
        fields = {"event": "stopped", "worker": worker.id, "signed_off": not worker.state.is_enlisted}
        _report(f"worker stopped; {rest}", fields, as_json=self.as_json)
        return INTERRUPTED if signals.interrupts > 1 else code

    async def _tell(self, worker: Worker) -> None:
        """Print the id of this worker and the leader, once they are known."""
        await worker.wait_until_working()
        self.line.works(self.runner.settings.drain_s)
        state = worker.state
        text = f"  worker  {worker.id}, {state.slots} slots\n  leader  {'this worker' if state.leader == worker.id else state.leader}"
        fields = {"event": "working", "worker": worker.id, "slots": state.slots, "leader": state.leader}
        _report(text, fields, as_json=self.as_json)

    async def _keep_garbage_in_hand(self, worker: Worker) -> None:
        """Once all is loaded that a worker needs."""
        await worker.wait_until_working()
        await Garbage().keep_in_hand()

    async def _recycle(self, worker: Worker, leave: Callable[[], None]) -> None:
        """Make room for another process once this one has done enough."""
        why = await self.recycling.until_due(lambda: worker.state.accepted, self.runner.settings.renew_s)
        _report(f"worker {worker.id} drains, as {why}", {"event": "draining", "worker": worker.id, "text": why}, as_json=self.as_json)
        self.line.drains()
        leave()

    async def _leave_when_idle(self, worker: Worker, leave: Callable[[], None]) -> int:
        store = JobStore(redis_url(self.runner.settings), self.runner.queue, self.runner.settings)
        try:
            remaining = await until_idle(store, lambda: worker.state.running > 0)
        finally:
            await store.close()
            leave()
        # The worker leaves in a later turn of the loop than this ends in.
        self.line.is_idle()
        _report(in_words(remaining), {"event": "idle", **remaining._asdict()}, as_json=self.as_json)
        return int(remaining.failed > 0)


@contextmanager
def _background() -> Iterator[Callable[[Any], asyncio.Task[Any]]]:
    """Tasks that end with the block."""
    tasks: list[asyncio.Task[Any]] = []

    def start(work: Any) -> asyncio.Task[Any]:
        tasks.append(asyncio.create_task(work))
        return tasks[-1]

    try:
        yield start
    finally:
        for task in tasks:
            task.cancel()
