"""Every command of `python -m runner`, and what exit codes mean."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

import typer

from runner.cli import batch, bulk, jobs, keys, limits, listing, processes, schedules, tasks, worker
from runner.cli.audit import audit
from runner.cli.doctor import doctor
from runner.cli.events import events
from runner.cli.history import history
from runner.cli.output import complain, discard_output
from runner.cli.pauses import pause, pauses, resume
from runner.cli.pools import pools
from runner.cli.simulate import simulate
from runner.cli.stats import stats
from runner.cli.supervisor import INTERRUPTED
from runner.cli.top import top
from runner.cli.watch import watch
from runner.errors import (
    AccessRefused,
    ConfigurationError,
    IncompleteCatalog,
    NotPermitted,
    RunnerError,
    StartFailed,
    StoreFull,
    StoreUnavailable,
    SubmissionRefused,
    UnknownBatch,
    UnknownJob,
    UnknownKey,
    UnknownLimit,
    UnknownSchedule,
)
from runner.jobs import UnknownBulk

EXIT_CODES: dict[type[Exception], int] = {
    RunnerError: 1,
    AccessRefused: 2,
    ConfigurationError: 2,
    NotPermitted: 2,
    SubmissionRefused: 2,
    IncompleteCatalog: 1,
    UnknownBulk: 3,
    UnknownBatch: 3,
    UnknownJob: 3,
    UnknownKey: 3,
    UnknownLimit: 3,
    UnknownSchedule: 3,
    StoreUnavailable: 4,
    StoreFull: 5,
    StartFailed: 6,
}
"""What the library raises, and how the process then exits: the entry of the nearest base class counts."""
USAGE_ERROR = 2
_CODES_IN_WORDS = (
    "Exit codes: 0 done; 1 the job, the demo or a check failed, or the job is not in a state for this; 2 wrong usage, setting, number or argument,"
    " or a user or password that Redis refuses; 3 no such job, batch, limit, schedule or key; 4 Redis cannot be reached; 5 there is no room for more jobs now; 6 the lifespan of the app could not start; 130 interrupted, a worker twice."
)
UsageError: type[Any] = typer.BadParameter.__bases__[0]

app = typer.Typer(
    name="runner",
    help=f"Background jobs that never break a rate limit.\n\nStart with `python -m runner demo`, or `python -m runner dev` in your project.\n\n{_CODES_IN_WORDS}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(processes.dev)
app.command()(processes.demo)
app.command()(worker.worker)
app.command()(processes.api)
app.command()(jobs.submit)
app.command()(jobs.status)
app.command()(jobs.explain)
app.command()(jobs.cancel)
app.command()(jobs.retry)
app.command()(jobs.delete)
app.command()(jobs.workers)
app.command()(pause)
app.command()(resume)
app.command()(pauses)
app.command()(pools)
app.command()(doctor)
app.command()(top)
app.command()(stats)
app.command()(audit)
app.command()(history)
app.command()(events)
app.command()(watch)
app.command()(simulate)
app.add_typer(listing.app, name="jobs")
bulk.add_to(listing.app)
app.add_typer(batch.app, name="batch")
app.add_typer(limits.app, name="limits")
app.add_typer(keys.app, name="keys")
app.add_typer(tasks.app, name="tasks")
app.add_typer(schedules.app, name="schedules")


def main(words: Sequence[str] | None = None, *, build: Callable[..., Any] | None = None) -> None:
    """Run the command line and exit. Every expected error is one line on stderr and its exit code.

    Without `words` those of the process. `build` makes the app that the command `api` serves, in place of `create_app`.
    """
    try:
        sys.exit(app(words, standalone_mode=False, obj=build))
    except UsageError as error:
        _complain_of_usage(error)
        sys.exit(USAGE_ERROR)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        discard_output()
        sys.exit(1)
    except RunnerError as error:
        complain(str(error))
        sys.exit(next(EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES))


def _complain_of_usage(error: Any) -> None:
    """One line for a wrong option or argument; the help, if a command was given nothing at all."""
    command = error.ctx.command_path if error.ctx else "python -m runner"
    if error.ctx and error.format_message() == error.ctx.get_help():
        error.show()
    else:
        complain(f"{error.format_message().rstrip('.')}; see: {command} --help")
