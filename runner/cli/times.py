"""Times as the words of a command: one reading for every option that is one."""

from typing import Any

import typer

from runner.client import seconds_said
from runner.errors import ConfigurationError


def seconds(said: object) -> float:
    """A time: seconds, or text like "1h" or "1m30s". Raises `typer.BadParameter`, to which typer adds the option."""
    try:
        found = float(str(seconds_said("it", said)))
    except ConfigurationError:
        raise typer.BadParameter(f'{said!r:.80} is no time: give seconds, or like "1h" or "1m30s"') from None
    if found < 0:
        raise typer.BadParameter(f"{said!r:.80} is negative: give a time from 0")
    return found


TIME: dict[str, Any] = {"parser": seconds, "metavar": "TIME"}
"""What `typer.Option` is given for each option that is a time, so that all read the same."""
