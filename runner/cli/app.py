"""Every command of `python -m runner`, and what exit codes mean."""

import sys

import typer

from runner.cli import jobs, processes
from runner.cli.output import complain
from runner.errors import ConfigurationError, RunnerError, StoreUnavailable, SubmissionRefused, UnknownJob

EXIT_CODES = (
    """Exit codes: 0 done; 1 the job or the demo failed; 2 wrong usage, setting or argument; 3 no such job; 4 Redis cannot be reached."""
)

app = typer.Typer(
    name="runner",
    help=f"Background jobs that never break a rate limit.\n\nStart with `python -m runner demo`, or `python -m runner dev` in your project.\n\n{EXIT_CODES}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(processes.dev)
app.command()(processes.demo)
app.command()(processes.worker)
app.command()(processes.api)
app.command()(jobs.submit)
app.command()(jobs.status)


def main() -> None:
    """Run the command line and exit. Every expected error is one line on stderr and its exit code."""
    try:
        app()
    except (ConfigurationError, SubmissionRefused) as error:
        complain(str(error))
        sys.exit(2)
    except UnknownJob as error:
        complain(str(error))
        sys.exit(3)
    except StoreUnavailable as error:
        complain(str(error))
        sys.exit(4)
    except RunnerError as error:
        complain(str(error))
        sys.exit(1)
