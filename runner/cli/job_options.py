"""What the command line can say of a job besides its arguments: the options that submissions and schedules share, and what they mean."""

from typing import Annotated

import typer

from runner.cli.times import TIME
from runner.jobs import UniqueOption

Priority = Annotated[str | None, typer.Option(help="high, normal or low.", show_default=False)]
MaxWait = Annotated[
    float | None,
    typer.Option("--max-wait", **TIME, help='Time after which it expires if it has not started: seconds, or "1h".', show_default=False),
]
Deadline = Annotated[
    float | None,
    typer.Option(
        **TIME, help='Time from its submission on within which it has ended, retries and all: seconds, or "1h".', show_default=False
    ),
]
Cost = Annotated[
    list[str] | None,
    typer.Option("--cost", help="Tokens to take of a limit, like llm-tokens=800; may be given again.", show_default=False),
]
Alike = Annotated[
    str | None,
    typer.Option(
        "--unique",
        help="One such job at a time: by a template of arguments like {order_id}, or 'all' of them; 'none': although its task is unique.",
        show_default=False,
    ),
]
Pool = Annotated[str | None, typer.Option(help="Whose workers run it, instead of the task's pool.", show_default=False)]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="A word by which it is found; may be given again.", show_default=False)]
Metadata = Annotated[
    str | None,
    typer.Option(help='What travels with it besides its arguments, as a JSON object, like \'{"source": "import"}\'.', show_default=False),
]
_UNIQUE = {"all": True, "none": False}


def unique_said(text: str | None) -> UniqueOption | None:
    """What --unique says."""
    return None if text is None else _UNIQUE.get(text, text)
