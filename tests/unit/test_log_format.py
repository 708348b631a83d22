"""Lines of the log: which job each is about, whoever logs it, and what no text can do to them."""

import asyncio
import io
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any

import pytest

from runner import JobLogFilter
from runner.cli.log_format import LogFormat, handler_of
from runner.jobs import StartedJob, enter
from tests.pages import run_blocks

JOB = StartedJob(1, b"1-1", "j1", "charge", b"{}", 2, 1)


@contextmanager
def logging_to(handler: logging.Handler) -> Iterator[logging.Logger]:
    """A logger two below the one that has the handler, as an app's modules are."""
    top = logging.getLogger("shop")
    top.addHandler(handler)
    top.propagate = False
    try:
        yield logging.getLogger("shop.cards")
    finally:
        top.removeHandler(handler)
        top.propagate = True


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[Any] = []
        self.addFilter(JobLogFilter())

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def in_a_job(act: Callable[[], object]) -> None:
    """As a worker runs a handler: in a context of its own."""

    def run() -> None:
        enter(JOB, "shop-queue")
        act()

    copy_context().run(run)


def test_a_record_says_which_attempt_has_logged_it_in_threads_too() -> None:
    with logging_to(kept := Kept()) as log:
        log.warning("before")
        in_a_job(lambda: log.warning("inside"))

        def thread() -> None:
            context = copy_context()
            worker = threading.Thread(target=lambda: context.run(log.warning, "of its thread"))
            worker.start()
            worker.join()

        in_a_job(thread)

    told = [(one.job, one.task, one.attempt, one.queue) for one in kept.records]
    assert told == [("", "", "", ""), ("j1", "charge", 2, "shop-queue"), ("j1", "charge", 2, "shop-queue")]


def test_what_a_record_has_already_stays() -> None:
    with logging_to(kept := Kept()) as log:
        in_a_job(lambda: log.warning("x", extra={"task": "mine"}))

    assert (kept.records[0].task, kept.records[0].job) == ("mine", "j1")


def test_the_page_on_logging_shows_how_a_line_names_its_job() -> None:
    handler = run_blocks("logging.md")["handler"]
    written = handler.stream = io.StringIO()
    with logging_to(handler) as log:
        in_a_job(lambda: log.warning("card refused"))

    assert written.getvalue().endswith(" WARNING [charge j1 #2] card refused\n")


def lines(log_format: LogFormat | None, act: Callable[[logging.Logger], object], monkeypatch: pytest.MonkeyPatch) -> str:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    monkeypatch.setenv("COLUMNS", "200")
    with logging_to(handler_of(log_format)) as log:
        in_a_job(lambda: act(log))
    return written.getvalue()


def refuse() -> None:
    raise ValueError("card\r\n2026 forged \x1b[2J")


def fail(log: logging.Logger) -> None:
    try:
        refuse()
    except ValueError:
        log.exception("charging %s", "o-17\n\x1b[31m", extra={"amount": 7, "of": {1, 2}})


@pytest.mark.parametrize("log_format", [None, LogFormat.plain])
def test_a_plain_line_names_the_job_and_cannot_be_forged(log_format: LogFormat | None, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *trace = lines(log_format, fail, monkeypatch).splitlines()

    assert first.endswith(" ERROR shop.cards [charge j1 #2] charging o-17\\n\\x1b[31m")
    assert all(line.startswith("  ") for line in trace)
    assert "\x1b" not in "".join(trace)


def test_a_line_outside_of_a_job_has_no_brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    with logging_to(handler_of(LogFormat.plain)) as log:
        log.warning("nothing runs")

    assert written.getvalue().endswith(" WARNING shop.cards nothing runs\n")


def test_a_json_line_is_one_object_with_all_that_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = lines(LogFormat.json, fail, monkeypatch).split("\n")[:-1]
    said = json.loads(line)

    assert {name: said[name] for name in ("level", "logger", "job", "task", "attempt", "queue", "amount", "of")} == {
        "level": "ERROR",
        "logger": "shop.cards",
        "job": "j1",
        "task": "charge",
        "attempt": 2,
        "queue": "shop-queue",
        "amount": 7,
        "of": "{1, 2}",
    }
    assert said["time"].endswith("+00:00")
    assert said["error"].startswith("ValueError: card")
    assert "fail" in said["traceback"]
    assert "\x1b" not in line
    assert "\r" not in line


def test_a_json_line_is_written_whatever_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hostile:
        def __repr__(self) -> str:
            raise SystemExit

    circle: list[Any] = []
    circle.append(circle)
    hostile = lines(LogFormat.json, lambda log: log.warning("x", extra={"what": Hostile()}), monkeypatch)
    circular = lines(LogFormat.json, lambda log: log.warning("y", extra={"what": circle}), monkeypatch)

    assert json.loads(hostile)["what"] == "an object of type Hostile"
    assert json.loads(circular)["message"] == "y"


def test_a_terminal_has_the_job_too_and_no_markup_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    said = lines(LogFormat.rich, lambda log: log.warning("[bold]%s[/bold]", "paid\x1b[2J"), monkeypatch)

    assert "WARNING" in said
    assert "[charge j1 #2] [bold]paid\\x1b[2J[/bold]" in said
    assert "\x1b[2J" not in said


async def test_tasks_that_a_handler_starts_log_for_its_job() -> None:
    with logging_to(kept := Kept()) as log:

        async def inner() -> None:
            log.warning("inner")

        async def handler() -> None:
            enter(JOB, "shop-queue")
            await asyncio.create_task(inner())

        await asyncio.create_task(handler())

    assert kept.records[0].job == "j1"
