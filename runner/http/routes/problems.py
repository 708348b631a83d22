"""The texts that the `type` of every problem leads to."""

from typing import Annotated

from fastapi import Path
from fastapi.responses import PlainTextResponse

from runner.http import routing
from runner.http.forms import NAME
from runner.http.problem_kinds import KINDS
from runner.http.problems import Problem, responses

router = routing.group("problems")


@router.get(
    "/problems/{name}",
    response_class=PlainTextResponse,
    summary="What a kind of problem means",
    responses=responses("not-found", "validation"),
)
async def explain(name: Annotated[str, Path(description="the last part of the `type` of a problem", **NAME)]) -> str:
    """A short text for people: what the problem is and what to do."""
    if name not in KINDS:
        raise Problem("not-found", f"no problem is called {name[:40]!r} (known: {', '.join(KINDS)})")
    kind = KINDS[name]
    return f"{name} ({kind.status}): {kind.title}.\n\n{kind.help}\n"
