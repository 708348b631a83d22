"""The commands about tasks: list what is published and what of it is served, and remove what is no longer."""

from dataclasses import asdict
from typing import Annotated

import typer

from runner.cli.output import columns, say, say_json
from runner.cli.queue_client import Target, about_queue
from runner.clock import MICROSECONDS, wall_us
from runner.jobs import TaskStatus, span

app = typer.Typer(help="See the tasks of a queue, and remove those that no worker serves.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
@about_queue
def list_tasks(target: Target) -> None:
    """List every task that is published, whether live workers serve it, and since when not."""
    tasks = target.ask(lambda client: client.tasks())
    if target.json:
        for task in tasks:
            say_json(asdict(task))
        return
    if not tasks:
        say("no tasks: no worker of this queue has published any")
        return
    now_s = wall_us() / MICROSECONDS
    for line in columns([("TASK", "SERVED", "LIMITS", "NOTE"), *(_row(task, now_s) for task in tasks)]):
        say(line)


@app.command()
@about_queue
def remove(target: Target, name: Annotated[str, typer.Argument(help="Name of the task.")]) -> None:
    """Remove a task that no live worker serves, so that nobody submits it any more. Its jobs stay."""
    task = target.ask(lambda client: client.remove_task(name))
    if target.json:
        say_json(asdict(task))
        return
    held = f"; {task.held} of its jobs wait for a worker, and stay until they are cancelled" if task.held else ""
    say(f"{name} is removed: nobody can submit it by name until a worker or a producer publishes it again{held}")


def _row(task: TaskStatus, now_s: float) -> tuple[str, str, str, str]:
    served = "yes" if task.served else "no" if task.served_until is None else f"no, since {span(now_s - task.served_until)}"
    notes = [f"{task.held} jobs wait for a worker"] if task.held else []
    notes += [task.fault] if task.fault else []
    return task.name, served, ", ".join(task.spec.limits) if task.spec else "", "; ".join(notes)
