"""What `watch` shows of a job on a terminal: a bar, and words that cannot command the terminal."""

import io
import sys

import pytest

from runner import JobStatus, Progress, State
from runner.cli.watch import shown
from runner.jobs import explain, summary, watched

SAID = Progress(25, 100, "half \x1b[2J", 1_700_000_000.0)
RUNNING = JobStatus("j1", "resize", State.running, started_at=1_700_000_000.0, progress=SAID)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_has_a_bar_that_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    with shown(as_json=False) as show:
        show(JobStatus("j1", "resize", State.queued))
        show(RUNNING)

    written = terminal.getvalue()
    assert "25%" in written
    assert 'j1  resize  running  25 of 100 (25%): "half \\u001b[2J"' in written
    assert "\x1b[2J" not in written


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (RUNNING, 'j1  resize  running  25 of 100 (25%): "half \\u001b[2J"'),
        (JobStatus("j1", "resize", State.running, progress=Progress(0.5, None, "", 0)), "j1  resize  running  0.5"),
        (JobStatus("j1", "resize", State.running), "j1  resize  running"),
        (JobStatus("j1", "resize", State.waiting, "tokens", "pay", 3), "j1  resize  waiting for tokens of pay, place 3"),
        (JobStatus("j1", "resize", State.queued, "no worker"), "j1  resize  queued for a worker that serves task resize"),
        (JobStatus("j1", "resize", State.scheduled, "retry", eta_s=4), "j1  resize  scheduled in about 4.0 s, after a failed attempt"),
    ],
)
def test_a_line_says_what_a_job_waits_for_or_how_far_it_is(status: JobStatus, line: str) -> None:
    assert watched(status) == line


def test_progress_is_told_by_status_and_explain() -> None:
    assert '  progress  25 of 100 (25%): "half' in summary(RUNNING)
    assert 'It said 3.0 s ago how far it is: 25 of 100 (25%): "half' in "\n".join(explain(RUNNING, [], 1_700_000_003.0))
