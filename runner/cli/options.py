"""Options that several commands share."""

from typing import Annotated

import typer

from runner.cli.output import complain
from runner.masking import has_password


def _without_password(url: str | None) -> str | None:
    """Warn of a password among the words of a command, which every user of the machine can list."""
    if url is not None and has_password(url):
        complain(
            "the password in --redis-url can be read by every user of this machine (ps): set RUNNER_REDIS_URL or RUNNER_REDIS_URL_FILE"
        )
    return url


def _warned_of_key(key: str | None) -> str | None:
    """Warn of a secret among the words of a command."""
    if key is not None:
        complain("the key in --api-key can be read by every user of this machine (ps): set RUNNER_API_KEY or RUNNER_API_KEY_FILE")
    return key


App = Annotated[
    str | None, typer.Option("--app", help="Your Runner as module:object; RUNNER_APP, or the demo's tasks.", show_default=False)
]
OwnApp = Annotated[str | None, typer.Option("--app", help="Your Runner as module:object; otherwise RUNNER_APP.", show_default=False)]
RedisUrl = Annotated[
    str | None,
    typer.Option(
        "--redis-url",
        help="Redis or Valkey; RUNNER_REDIS_URL, or an embedded server in .runner/.",
        show_default=False,
        callback=_without_password,
    ),
]
Url = Annotated[
    str | None,
    typer.Option(
        "--url", help="The HTTP service of the queue, in place of Redis; RUNNER_API_URL without --redis-url and --app.", show_default=False
    ),
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        "--api-key", help="What that service knows you by; RUNNER_API_KEY.", show_default=False, metavar="SECRET", callback=_warned_of_key
    ),
]
Queue = Annotated[str | None, typer.Option("--queue", help="The queue; otherwise that of --app.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line instead of text.")]
