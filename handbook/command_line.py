"""The page of the command line, made from its commands as they are declared."""

from typing import Any

import typer

from handbook.text import MADE, cell, table
from runner.cli.app import app

INTRODUCTION = """# Command line

`python -m runner`, or `runner` once installed. `--help` after a command lists its options. With `--url https://jobs.example.com`, commands about
jobs, tasks, limits, workers, events and the audit ask the HTTP service, with the key of RUNNER_API_KEY; the others need Redis.
`--app module:object` names your Runner (or set `RUNNER_APP`); without it the tasks of the demonstration are served.
`--json` prints one object a line; a complaint is one line on stderr.

"""
EVERYWHERE = {"app", "queue", "redis_url", "json", "url", "api_key", "help"}
"""Options that many commands have and that are told once."""


def commands() -> dict[str, Any]:
    """Every command by its words, those of a group after it; groups themselves are not commands."""
    group: Any = typer.main.get_command(app)
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        if isinstance(command, typer.core.TyperGroup):
            found |= {f"{name} {inner}": inner_command for inner, inner_command in command.commands.items()}
        else:
            found[name] = command
    return found


def page() -> str:
    """The whole page: all commands in a table, then each with its options."""
    group: Any = typer.main.get_command(app)
    ends = next(part for part in (group.help or "").split("\n\n") if part.startswith("Exit codes"))
    all_commands = commands()
    rows = [
        [f"[`{name}`](#{name.replace(' ', '-')})", cell((command.help or "").split("\n\n")[0])] for name, command in all_commands.items()
    ]
    shared = {
        parameter.name: parameter for command in all_commands.values() for parameter in command.params if parameter.name in EVERYWHERE
    }
    parts = [
        INTRODUCTION + " ".join(ends.split()) + "\n\n" + MADE,
        table(["command", "does"], rows),
        "Options of many commands, told once:\n\n" + _options(list(shared.values())),
        *(_section(name, command) for name, command in all_commands.items()),
    ]
    return "\n".join(parts)


def _section(name: str, command: Any) -> str:
    words = [f"## {name}", "\n\n".join(" ".join(part.split()) for part in (command.help or "").split("\n\n"))]
    own = [parameter for parameter in command.params if parameter.name not in EVERYWHERE]
    words += [_options(own)] if own else []
    return "\n\n".join(words) + ("" if own else "\n")


def _options(parameters: list[Any]) -> str:
    return table(
        ["argument or option", "is"], [[_name(parameter), cell(getattr(parameter, "help", None) or "")] for parameter in parameters]
    )


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.name.upper()}`"
    return ", ".join(f"`{word}`" for word in [*parameter.opts, *parameter.secondary_opts])
