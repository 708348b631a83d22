"""The command simulate: takes limits and jobs from the command line, from code or from a file, and shows the course."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from runner.cli.loading import load
from runner.cli.output import say, say_json
from runner.cli.simulate.document import document
from runner.cli.simulate.grammar import limit_forms, parse_jobs, parse_limit, parse_pairs, read_jobs
from runner.cli.simulate.live import look
from runner.cli.simulate.svg import draw
from runner.cli.simulate.text import share_words, show
from runner.cli.times import TIME
from runner.client import Runner, Task
from runner.clock import microseconds, wall_us
from runner.errors import ConfigurationError, UnknownTask
from runner.jobs import BudgetPace, TaskSpec
from runner.limits import Limit, QueuePace
from runner.settings import Settings
from runner.simulation import Drain, JobGroup
from runner.simulation import simulate as play

_FAIR_BY = "{tenant}"

Limits = Annotated[
    list[str] | None,
    typer.Option(
        "--limit",
        help=f"A limit: {limit_forms()}. With --task it replaces the task's of that name.",
        show_default=False,
    ),
]
Jobs = Annotated[
    str | None,
    typer.Option(
        "--jobs",
        help="Jobs of each tenant, like a:1000,b:10; with the second at which they are submitted, like b:10@5.",
        show_default=False,
    ),
]
File = Annotated[
    Path | None,
    typer.Option(
        "--file",
        help='Jobs from a file, one JSON object a line: {"tenant": "t7", "count": 10, "at": 0, "duration": 0.4, "cost": {"openai": 800}}.',
        show_default=False,
    ),
]
Duration = Annotated[
    float, typer.Option("--duration", **TIME, help='Time that each job runs, unless the file says otherwise: seconds, or "1m".')
]
Slots = Annotated[int | None, typer.Option("--slots", help="Slots of all workers together (100).", show_default=False)]
Cost = Annotated[str | None, typer.Option("--cost", help="Tokens a job takes, if not 1: openai=800,stripe=2.", show_default=False)]
Weights = Annotated[str | None, typer.Option("--weights", help="Fair shares that are not equal: a=3,b=1.", show_default=False)]
Fair = Annotated[
    bool | None,
    typer.Option("--fair/--first-come", help="Tenants take turns (unless the task says otherwise), or not.", show_default=False),
]
App = Annotated[str | None, typer.Option("--app", help="Take limits from this app, as module:object, or RUNNER_APP.", show_default=False)]
TaskName = Annotated[str | None, typer.Option("--task", help="The task of that app whose jobs these are.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")]
OnTop = Annotated[bool, typer.Option("--live", help="On top of what waits now in the queue of the app, under the limits in force there.")]
Svg = Annotated[Path | None, typer.Option("--svg", help="Write the picture to this file too.", show_default=False)]


def simulate(
    limit: Limits = None,
    jobs: Jobs = None,
    file: File = None,
    duration: Duration = 0.0,
    slots: Slots = None,
    cost: Cost = None,
    weights: Weights = None,
    fair: Fair = None,
    app: App = None,
    task: TaskName = None,
    live: OnTop = False,
    json: AsJson = False,
    svg: Svg = None,
) -> None:
    """Show how long these jobs would take under these limits, and how long each tenant would wait. Nothing runs: time is simulated."""
    if live and limit:
        raise ConfigurationError("--live plays the limits that are in force, and --limit gives others: leave out one of both")
    extra = [parse_limit(text) for text in limit or ()]
    costs = parse_pairs(cost, "cost")
    groups = _groups(jobs, file, microseconds(duration), costs)
    if app is None and task is None and not extra and not live:
        raise ConfigurationError(
            "there is no limit to keep: give --limit 'stripe=10/s,burst=20', or --task (and --app) to take those of a task"
        )
    runner = None
    if app is None and task is None and not live:
        settings, limits = Settings(), tuple(extra)
        spec = TaskSpec("simulated", {}, tuple(one.name for one in limits), fair_by=_FAIR_BY)
    else:
        runner = load(app)
        settings, chosen = runner.settings, _task(runner, task).definition
        limits = _merged(chosen.limits, extra)
        spec = replace(chosen.spec, limits=tuple(one.name for one in limits))
        _check_costs(spec, groups)
    if fair is not None:
        spec = replace(spec, fair_by=(spec.fair_by or _FAIR_BY) if fair else None)
    spec = replace(spec, weights={**spec.weights, **parse_pairs(weights, "weight")})
    live_now = None
    budgets: Sequence[BudgetPace] = ()
    shares: dict[str, QueuePace | None] = {one.name: None for one in limits if one.shared is not None}
    if live and runner is not None:
        live_now, there, budgets, known = look(runner, spec, limits, groups, microseconds(duration))
        shares |= known
        groups = [group if group.duration_us else replace(group, duration_us=live_now.run_us) for group in groups]
        slots = slots or there or None
    slots = settings.concurrency if slots is None else slots
    drain = play(spec, limits, groups, slots=slots, window=settings.window, start_us=wall_us(), live=live_now)
    _show(drain, svg, budgets, shares, json=json)


def _groups(jobs: str | None, file: Path | None, duration_us: int, cost: dict[str, int]) -> list[JobGroup]:
    groups = [replace(group, cost=cost) for group in parse_jobs(jobs, duration_us)] if jobs else []
    groups += read_jobs(file, duration_us, cost) if file else []
    if not groups:
        raise ConfigurationError("there are no jobs: give --jobs a:1000,b:10, or --file with one JSON object a line")
    return groups


def _task(runner: Runner, name: str | None) -> Task[..., Any]:
    """The task by name, or the only one. Raises `UnknownTask`."""
    if name is None and len(runner.tasks) == 1:
        return next(iter(runner.tasks.values()))
    if name not in runner.tasks:
        raise UnknownTask(
            f"unknown task {name!r} on queue {runner.queue!r} (known: {', '.join(runner.tasks) or 'none'}): name one with --task"
        )
    return runner.tasks[name]


def _merged(own: Iterable[Limit], given: Iterable[Limit]) -> tuple[Limit, ...]:
    """The task's limits; a given one replaces the task's limit of that name."""
    return tuple({limit.name: limit for limit in (*own, *given)}.values())


def _check_costs(spec: TaskSpec, groups: Iterable[JobGroup]) -> None:
    """A cost that is an argument of the task must be given, because these jobs have no arguments. Raises `ConfigurationError`."""
    for limit, argument in spec.cost.items():
        if isinstance(argument, str) and any(limit not in group.cost and argument not in group.args for group in groups):
            raise ConfigurationError(
                f"task {spec.name!r} takes the cost of limit {limit!r} from its argument {argument!r}: "
                f'give --cost {limit}=NUMBER, or "args": {{"{argument}": NUMBER}} in each line of --file'
            )


def _show(drain: Drain, svg: Path | None, budgets: Sequence[BudgetPace], shares: Mapping[str, QueuePace | None], *, json: bool) -> None:
    if svg is not None:
        try:
            svg.write_text(draw(drain), encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(
                f"the picture cannot be written to {str(svg)!r}: {error.strerror}; name a file in a folder that exists"
            ) from error
    if json:
        say_json(document(drain, budgets, shares))
        return
    show(Console(), drain)
    for name, share in shares.items():
        say(f"\n{name} is shared by several queues: {share_words(share)}.")
    for pace in budgets:
        say(f"\n{pace.limit}: {pace}.")
    if svg is not None:
        say(f"\nThe picture is in {svg}")
