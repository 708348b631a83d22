"""What the demonstration shows: lines a pipe can keep, a block that fits a terminal, and what is off where nobody overlooks it."""

import io

import pytest
from rich.console import Console

from runner.cli.demo.measured import Finding
from runner.cli.demo.view import Snapshot, View
from runner.limits import TokenBucket

LIMIT = TokenBucket("metered", capacity=10, refill=2, every=0.5)


def moment(elapsed_s: float, eta_s: float | None = 12.9) -> Snapshot:
    return Snapshot(elapsed_s, tokens=3, next_token_s=0.5, waiting=44, running=4, done=11, failed=1, eta_s=eta_s)


def shown(*moments: Snapshot, terminal: bool = False, encoding: str = "utf-8") -> str:
    output = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    with View(Console(file=output, force_terminal=terminal, width=80, color_system=None), LIMIT) as view:
        for now in moments:
            view.show(now)
    output.seek(0)
    return output.read()


def test_a_pipe_gets_a_line_a_second() -> None:
    output = shown(*(moment(tenths / 10) for tenths in range(21)))

    assert [line[:7] for line in output.splitlines()] == ["  0.0 s", "  1.0 s", "  2.0 s"]
    assert output.splitlines()[0] == "  0.0 s  tokens  3  done 11  running  4  waiting 44  failed 1  ETA 12.9 s"


def test_without_anybody_in_line_there_is_no_eta() -> None:
    assert "ETA" not in shown(moment(0, eta_s=None))


@pytest.mark.parametrize(
    ("encoding", "bucket", "jobs"), [("utf-8", "●●●○○○○○○○", "███████████▚▓▓▓▓"), ("ascii", "ooo.......", "###########x====")]
)
def test_a_terminal_shows_each_token_and_each_job(encoding: str, bucket: str, jobs: str) -> None:
    output = shown(moment(1), terminal=True, encoding=encoding)

    assert f"tokens   {bucket}  +2 in 0.5 s" in output
    assert f"jobs     {jobs}" in output
    assert max(len(line) for line in output.splitlines()) <= 80


def test_what_is_off_is_called_so() -> None:
    output = io.StringIO()
    View(Console(file=output), LIMIT).conclude(
        [Finding("jobs done", "59", "of 60", is_right=False), Finding("jobs lost", "0", "", is_right=True)]
    )

    assert output.getvalue().split("\n") == ["", "  OFF  jobs done  59  of 60", "  ok   jobs lost   0  ", "", ""]
