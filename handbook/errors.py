"""The page of all errors, made from their classes, and from the kinds of problems of the HTTP API."""

import inspect

import runner
from handbook.remedies import REMEDIES
from handbook.text import MADE, cell, docstring, table
from runner import errors
from runner.http.problem_errors import ERRORS
from runner.http.problem_kinds import KINDS

INTRODUCTION = """# Errors

Everything that the library raises on purpose is a `RunnerError` and can be imported from `runner.errors`; the message says what happened, with
which value, and what to do. An error of your handler is not here: it is retried, see [retries](../howto/retries.md).

"""
PROBLEMS = """## Problems of the HTTP API

Every error is `application/problem+json` (RFC 9457). The last part of its `type`, `/problems/<name>`, is the name here; a service shows the
same text at that path.

"""


def all_errors() -> list[type[Exception]]:
    """Every error that a user can meet, by name."""
    found = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, errors.RunnerError)]
    found += [cls for name in runner.__all__ if inspect.isclass(cls := getattr(runner, name)) and issubclass(cls, errors.RunnerError)]
    return sorted(dict.fromkeys(found), key=lambda cls: cls.__name__)


def page() -> str:
    """The whole page."""
    rows = [[f"`{cls.__name__}`", cell(docstring(cls).split("\n\n")[0]), cell(REMEDIES[cls]), _problem(cls)] for cls in all_errors()]
    kinds = [[f"`{name}`", str(kind.status), cell(f"**{kind.title}.** {kind.help}")] for name, kind in sorted(KINDS.items())]
    return (
        INTRODUCTION + MADE + "\n" + table(["error", "what happened", "what to do", "over HTTP"], rows)
        + "\n" + PROBLEMS + table(["problem", "status", "what it means, and what to do"], kinds)
    )  # fmt: skip


def _problem(cls: type[Exception]) -> str:
    name = ERRORS.get(cls)
    return f"`{name}`" if name else ""
