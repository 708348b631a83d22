"""The commands that run until stopped besides worker: api, dev and the demonstration; and what all of them do at their start."""

import asyncio
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from runner.cli.loading import deferred, load, load_for_api
from runner.cli.log_format import LogFormatOption, log_to_stderr
from runner.cli.options import App, AsJson, OwnApp, RedisUrl
from runner.cli.output import say, say_json
from runner.cli.signals import Signals, stoppable
from runner.client import Runner, configure, pools_of
from runner.connection import EmbeddedServer, embedded_folder, parse_address
from runner.errors import ConfigurationError, RunnerError
from runner.masking import shown_url
from runner.worker import Worker, run_to_end

if sys.platform == "win32":
    new_event_loop = None
else:
    from uvloop import new_event_loop

_serve_api = deferred("runner.http:serve")
_demonstrate = deferred("runner.cli.demo.show:run")

Concurrency = Annotated[int | None, typer.Option("--concurrency", "-c", help="Jobs this worker runs at once (100).", show_default=False)]
MaxBacklog = Annotated[
    int | None, typer.Option("--max-backlog", help="Unended jobs above which a submission is refused (no cap).", show_default=False)
]
Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")]
RootPath = Annotated[
    str, typer.Option(help="Prefix that a proxy in front strips, like /queue: links in answers begin with it.", show_default=False)
]
AllowedHost = Annotated[
    list[str] | None,
    typer.Option("--allowed-host", help="A name of the API besides localhost and addresses; may be given again.", show_default=False),
]
Uds = Annotated[str | None, typer.Option(help="Path of a unix socket to listen on instead.", show_default=False)]
UdsMode = Annotated[str, typer.Option(help="Who may use the unix socket, as of chmod.")]
Insecure = Annotated[
    bool,
    typer.Option("--insecure-no-auth", help="Listen anywhere without keys: whoever reaches it may do everything, until there is a key."),
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log informational lines, not only warnings.")]


@stoppable()
def api(
    context: typer.Context,
    app: OwnApp = None,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    root_path: RootPath = "",
    uds: Uds = None,
    uds_mode: UdsMode = "0660",
    insecure_no_auth: Insecure = False,
    redis_url: RedisUrl = None,
    max_backlog: MaxBacklog = None,
    allowed_host: AllowedHost = None,
    json: AsJson = False,
    verbose: Verbose = False,
    log_format: LogFormatOption = None,
) -> None:
    """Serve the HTTP API of the app's queue. It uses only the queue's name of the app: workers publish the tasks."""
    runner = load_for_api(app, redis_url=redis_url, max_backlog=max_backlog, allowed_hosts=_joined(allowed_host))
    log_to_stderr(verbose=verbose, log_format=log_format)
    with server_of(runner) as server:
        announce("api", runner, server, as_json=json)
        door = {"uds": uds, "uds_mode": _mode(uds_mode), "insecure": insecure_no_auth, "root_path": root_path}
        run(_serve_alone(runner, host, port, as_json=json, build=context.obj, **door))


@stoppable()
def dev(
    app: App = None,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    insecure_no_auth: Insecure = False,
    redis_url: RedisUrl = None,
    concurrency: Concurrency = None,
    max_backlog: MaxBacklog = None,
    allowed_host: AllowedHost = None,
    verbose: Verbose = False,
    log_format: LogFormatOption = None,
) -> None:
    """Run embedded server, API and a worker in one process, for development."""
    runner = load(app, redis_url=redis_url, concurrency=concurrency, max_backlog=max_backlog, allowed_hosts=_joined(allowed_host))
    if "pools" not in runner.settings.model_fields_set:
        configure(runner, pools=pools_of(runner))
    log_to_stderr(verbose=verbose, log_format=log_format)
    with server_of(runner) as server:
        run(_develop(runner, server, host, port, insecure=insecure_no_auth))


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Go on at the end, to look at the dashboard, until it is stopped.")] = False,
) -> None:
    """Watch 60 real HTTP calls being made at exactly the permitted rate, while a worker is killed."""
    log_to_stderr(verbose=False)
    sys.exit(run(_demonstrate(Console(), keep=keep)))


def _joined(hosts: list[str] | None) -> str | None:
    return ",".join(hosts) if hosts else None


def _mode(text: str) -> int:
    """Permissions as chmod takes them."""
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777:
        raise ConfigurationError(f"mode {text!r} of the unix socket is not understood: give permissions like 0660")
    return mode


def embedded_for(runner: Runner) -> Path | None:
    """The folder whose embedded server the queue uses; None if it has a server of its own."""
    url = runner.settings.redis_url
    folder = Path.cwd() if url is None else embedded_folder(url)
    return None if folder is None else folder.resolve()


@contextmanager
def server_of(runner: Runner) -> Iterator[str]:
    """The server of the queue, in words. Without a URL, starts the embedded server of this folder or attaches to it."""
    url, folder = runner.settings.redis_url, embedded_for(runner)
    if url is not None and folder is None:
        parse_address(url)
        yield shown_url(url)
        return
    with EmbeddedServer.attach_or_start(folder or Path.cwd()) as server:
        configure(runner, redis_url=server.url)
        yield f"{server.url} (embedded, {'started here' if server.owned else 'attached'})"


def announce(kind: str, runner: Runner, server: str, *, as_json: bool) -> None:
    tasks, limits = list(runner.tasks), [str(limit) for limit in runner.limits.values()]
    if as_json:
        say_json({"event": "started", "kind": kind, "queue": runner.queue, "redis": server, "tasks": tasks, "limits": limits})
        return
    say(f"{kind} of queue {runner.queue} on {server}")
    if kind != "api":
        say(f"  tasks   {', '.join(tasks) or 'none'}")
        say(f"  limits  {', '.join(limits) or 'none'}")


async def _serve_alone(runner: Runner, host: str, port: int, *, as_json: bool, build: Callable[..., Any] | None, **door: Any) -> None:
    options = door if build is None else {"build": build, **door}
    with Signals(lambda: None, 0) as signals:
        await _serve(runner, host, port, signals, as_json=as_json, **options)


async def _serve(runner: Runner, host: str, port: int, signals: Signals, *, as_json: bool, **options: Any) -> None:
    """Serve until a signal. The server handles the signals meanwhile, and reports each. `options` are those of `serve`."""

    def listening(url: str) -> None:
        if as_json:
            say_json({"event": "listening", "url": url})
        else:
            say(f"listening on {url}")

    await _serve_api(
        runner.queue, settings=runner.settings, host=host, port=port, on_started=listening, on_signal=signals.received, **options
    )


async def _develop(runner: Runner, server: str, host: str, port: int, *, insecure: bool) -> None:
    """Run API and worker side by side. A signal stops the API and drains the worker."""
    announce("dev", runner, server, as_json=False)
    worker = Worker(runner)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(worker.run())
            with Signals(worker.stop, runner.settings.drain_s, lambda: worker.state.delivering_s) as signals:
                await _serve(runner, host, port, signals, as_json=False, insecure=insecure)
                await worker.wait_until_stopped()
    except* RunnerError as errors:
        raise errors.exceptions[0] from None


def run(main: Any) -> Any:
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    return run_to_end(main, new_event_loop)
