"""Options that several commands share."""

from typing import Annotated

import typer

App = Annotated[
    str | None, typer.Option("--app", help="Your Runner as module:object; RUNNER_APP, or the demo's tasks.", show_default=False)
]
RedisUrl = Annotated[
    str | None,
    typer.Option("--redis-url", help="Redis or Valkey; RUNNER_REDIS_URL, or an embedded server in .runner/.", show_default=False),
]
Queue = Annotated[str | None, typer.Option("--queue", help="The queue; otherwise that of --app.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line instead of text.")]
