"""Words of the command line that name an app or a server, and what is said of those that are wrong or not wise."""

from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest
import typer

from handbook.command_line import commands
from runner.cli.app import app, main
from runner.cli.times import TIME, seconds
from runner.client.app_loading import load_app
from runner.errors import ConfigurationError


@pytest.mark.parametrize("path", ["..:x", ".x:y", "a..b:c", ":x", "a b:c", "a-b:c", "x", "x:", "1a:b"])
def test_an_app_that_no_module_can_be_is_a_wrong_setting(path: str) -> None:
    with pytest.raises(ConfigurationError, match="is not understood: write module:object"):
        load_app(path)


@pytest.mark.parametrize(
    ("url", "warns"),
    [("redis://me:s3cr3t@127.0.0.1:1", True), ("redis://127.0.0.1:1?password=s3cr3t", True), ("redis://127.0.0.1:1", False)],
)
def test_a_password_among_the_words_of_a_command_is_warned_of_and_not_said(
    url: str, warns: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["status", "x", "--app", "runner.cli.demo.tasks:jobs", "--redis-url", url])
    said = capsys.readouterr()
    assert ended.value.code == 4
    assert ("RUNNER_REDIS_URL_FILE" in said.err) == warns
    assert "s3cr3t" not in said.out + said.err


def test_what_chooses_jobs_has_one_name_in_the_commands_that_list_them_and_in_those_that_act_upon_them() -> None:
    found: dict[str, set[str]] = {}
    names = [f"jobs {verb}" for verb in ("list", "count", "failed", "cancel", "retry", "delete", "purge")]
    for command in (commands()[name] for name in names):
        for option in command.params:
            for flag in option.opts:
                found.setdefault(flag, set()).add(option.help)
    assert [flag for flag, meanings in found.items() if len(meanings) > 1] == []


def test_every_option_that_is_a_time_is_read_alike() -> None:
    """A number that is no count is a time. Without the reading of times it would take seconds alone."""
    times: set[str] = set()
    others: set[str] = set()
    for callback in callbacks(app):
        for name, said in get_type_hints(callback, include_extras=True).items():
            kind, *options = get_args(said) if get_origin(said) is Annotated else (said,)
            if kind in (float, float | None):
                (times if any(option.parser is TIME["parser"] for option in options) else others).add(name)
    assert others == set()
    assert times >= {"delay", "max_wait", "deadline", "wait", "lease", "drain", "duration", "every", "per", "grace", "jitter"}


def callbacks(group: typer.Typer) -> Iterator[Any]:
    """The function of every command."""
    for command in group.registered_commands:
        yield command.callback
    for below in group.registered_groups:
        if below.typer_instance is not None:
            yield from callbacks(below.typer_instance)


@pytest.mark.parametrize(("said", "is_s"), [("90", 90), ("1.5", 1.5), ("90s", 90), ("1m30s", 90), ("2h", 7_200), (60.0, 60), ("0", 0)])
def test_a_time_is_seconds_or_text(said: object, is_s: float) -> None:
    assert seconds(said) == is_s


@pytest.mark.parametrize(
    ("said", "why"),
    [("-1", "'-1' is negative: give a time from 0"), ("soon", '\'soon\' is no time: give seconds, or like "1h" or "1m30s"')],
)
def test_an_option_that_is_no_time_is_named_with_what_to_give(said: str, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["submit", "x", "--delay", said])
    assert ended.value.code == 2
    assert f"Invalid value for '--delay': {why}" in capsys.readouterr().err
