"""Words of the command line that name an app or a server, and what is said of those that are wrong or not wise."""

import pytest

from handbook.command_line import commands
from runner.cli.app import main
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
