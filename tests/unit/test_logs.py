"""Whatever a user's configuration of logging raises costs a line of the log at most."""

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Iterator

import pytest

from runner import logs
from runner.log_throttle import LogThrottle
from runner.logs import Safe, guard_logs
from runner.worker import run_to_end
from tests.unit.test_run_to_end import LOOPS

log = logging.getLogger("runner")


class Raising(logging.Handler):
    """As a handler of a user's own that sends lines to a service."""

    def emit(self, record: logging.LogRecord) -> None:
        raise ConnectionError("the log service is away\nWARNING forged")


def refuse(_: logging.LogRecord) -> bool:
    raise SystemExit("no such field")


@pytest.fixture(autouse=True)
def first_words(monkeypatch: pytest.MonkeyPatch, lost_lines: list[BaseException]) -> Iterator[None]:
    monkeypatch.setattr(logs, "_lost", LogThrottle())
    yield
    lost_lines.clear()


@pytest.fixture
def with_handler() -> Iterator[logging.Handler]:
    handler = Raising()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


@pytest.fixture
def with_filter() -> Iterator[None]:
    log.addFilter(refuse)
    yield
    log.removeFilter(refuse)


@pytest.fixture
def with_factory() -> Iterator[None]:
    former = logging.getLogRecordFactory()
    logging.setLogRecordFactory(lambda *_: sys.exit(1))
    yield
    logging.setLogRecordFactory(former)


@pytest.mark.usefixtures("with_handler")
def test_a_handler_that_raises_costs_the_line_and_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        log.warning("a line")

    first, *others = capsys.readouterr().err.splitlines()
    assert first.startswith("runner: ConnectionError came out of this process's configuration of logging")
    assert "    WARNING forged" in others
    assert all(line.startswith("    ") for line in others)


@pytest.mark.usefixtures("with_filter")
def test_a_filter_that_exits_ends_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    log.error("a line")

    assert "SystemExit" in capsys.readouterr().err


@pytest.mark.usefixtures("with_factory")
def test_a_record_that_cannot_be_made_as_the_user_wants_it_is_logged_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    log.warning("%d lines", 2)

    assert [(record.getMessage(), record.filename) for record in caplog.records] == [("2 lines", "test_logs.py")]


@pytest.mark.usefixtures("with_filter")
def test_logging_needs_no_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    log.error("a line")


def test_ctrl_c_in_the_middle_of_a_line_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(log, "filter", lambda _: signal.raise_signal(signal.SIGINT))
    try:
        with pytest.raises(KeyboardInterrupt):
            log.error("a line")
    finally:
        signal.signal(signal.SIGINT, former)


def test_a_logger_is_guarded_once_and_stays_what_it_is() -> None:
    class Own(logging.Logger):
        def trace(self) -> str:
            return self.name

    own = Own("own")
    guard_logs(own)
    kind = type(own)
    guard_logs(own)

    assert (type(own), own.trace()) == (kind, "own")
    assert isinstance(own, Safe)
    assert isinstance(log, Safe)


@LOOPS
@pytest.mark.usefixtures("with_handler")
def test_a_callback_whose_error_cannot_be_logged_does_not_end_a_workers_loop(
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None,
) -> None:
    async def main() -> int:
        loop, done = asyncio.get_running_loop(), list[int]()
        for number in range(3):
            loop.call_soon(int, "no number")
            loop.call_soon(done.append, number)
        await asyncio.sleep(0.05)
        return len(done)

    assert run_to_end(main(), loop_factory) == 3
