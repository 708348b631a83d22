"""What others wrote reaches logs and terminals without the characters that end a line, move the cursor or turn the writing."""

import io
import logging
from collections.abc import Iterator

import pytest

from runner.cli.output import columns, complain, say
from runner.foreign import indented
from runner.plain_text import Escaping, escape_logs, escaped

EVIL = "a\r\n2026-01-01 00:00:00 WARNING forged\x1b[2J\x9b31m\u202egnp\u2028end\ttab \u00e4"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What a handler as a user configures it writes, for the logger of this library."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger = logging.getLogger("runner")
    logger.addHandler(handler)
    yield written
    logger.removeHandler(handler)


def is_clean(text: str) -> bool:
    return not any(character in text for character in "\r\x1b\x9b\u202e\u2028")


def test_only_what_is_unsafe_is_escaped() -> None:
    assert escaped("plain ä \t 漢字 \\x1b") == "plain ä \t 漢字 \\x1b"
    assert escaped("a\r\nb\x1b[0m") == "a\\r\\nb\\x1b[0m"
    assert escaped("a\nb\r", in_one_line=False) == "a\nb\\r"
    assert escaped("\u202e\ud800") == "\\u202e\\ud800"


def test_a_log_line_stays_one_line_whatever_its_words_are(lines: io.StringIO) -> None:
    log = logging.getLogger("runner")
    log.warning("%s of %d, %r: %s", EVIL, 7, EVIL, ValueError(EVIL))
    log.warning("%(name)s", {"name": EVIL})
    log.warning("100%")
    assert is_clean(lines.getvalue())
    assert [line.split()[0] for line in lines.getvalue().splitlines()] == ["WARNING"] * 3
    assert " of 7, " in lines.getvalue()


def test_no_line_of_a_traceback_begins_as_a_line_of_the_log(lines: io.StringIO) -> None:
    try:
        int(EVIL)
    except ValueError as error:
        error.add_note(EVIL)
        logging.getLogger("runner").exception("it failed")
    first, *others = lines.getvalue().splitlines()
    assert first == "ERROR it failed"
    assert is_clean(lines.getvalue())
    assert len(others) >= 4
    assert all(line.startswith("  ") for line in others)


def test_lines_that_are_indented_stay_lines(lines: io.StringIO) -> None:
    logging.getLogger("runner").warning("%s failed:\n%s", EVIL, indented(f"one\n{EVIL}\ntwo"))

    first, *others = lines.getvalue().splitlines()
    assert first.startswith("WARNING a\\r\\n2026")
    assert is_clean(lines.getvalue())
    assert [line[:6] for line in (others[0], others[-1])] == ["    on", "    tw"]
    assert all(line.startswith("    ") for line in others)


def test_something_whose_text_raises_is_left_to_the_formatter() -> None:
    class Broken:
        def __str__(self) -> str:
            raise ValueError("no text")

    record = logging.LogRecord("x", logging.INFO, "x", 1, "%d %s", (1, broken := Broken()), None)
    assert Escaping().filter(record)
    assert record.args == (1, broken)


def test_a_logger_is_escaped_once() -> None:
    logger = logging.getLogger("runner")
    before = len(logger.filters)
    escape_logs(logger)
    assert len(logger.filters) == before >= 1


def test_a_terminal_gets_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    say(EVIL)
    complain(EVIL)
    for line in columns([("A", "B"), (EVIL, EVIL)]):
        say(line)
    printed = capsys.readouterr()
    assert is_clean(printed.out + printed.err)
    assert len(printed.out.splitlines()) == 4
