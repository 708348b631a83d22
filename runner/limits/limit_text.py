"""LimitText: a limit in one line of text, as `simulate` takes it: NAME=WORD:BODY,OPTION=VALUE,key=TEMPLATE."""

from collections.abc import Mapping
from typing import NamedTuple


class Form(NamedTuple):
    """One way to write a limit: the word before the colon (none for the usual form), the options it has, and an example after the `=`."""

    word: str
    example: str
    options: frozenset[str] = frozenset()


class LimitText(NamedTuple):
    """The parts of one line of text. `+2/10s` is the option `refill`; the key is no option, since every form has it."""

    name: str
    word: str
    body: str
    options: Mapping[str, str]
    key: str | None

    @property
    def jitter(self) -> float:
        """Seconds; an option of the kinds that have it. Raises ValueError with the reason."""
        text = self.options.get("jitter", "0")
        try:
            return float(text)
        except ValueError:
            raise ValueError(f"jitter={text!r} is no number of seconds") from None


def whole_number(text: str) -> int:
    """A number of tokens. Raises ValueError with the reason."""
    try:
        if text.isascii():
            return int(text)
    except ValueError:
        pass
    raise ValueError(f"{text!r} is no whole number")
