"""Nesting: which texts of a script are inside a function of their own, so that Redis makes the functions of a call in less time."""

import re
from collections.abc import Sequence
from functools import cache
from itertools import chain

_NOT_CODE = re.compile(r"--[^\n]*|'[^'\n]*'")
_WORD = re.compile(r"(?<![\w.])[A-Za-z_]\w*|(?<=\.\.)[A-Za-z_]\w*")
_DECLARATION = re.compile(r"^local (?:function )?([\w, ]+)", re.MULTILINE)
_LONG_LIST = 20
"""Names in one function from which on another inside it saves more than it costs."""
_MOST_PASSED_ON = 60
"""Names of the functions around it that one function of Lua 5.1 can use."""


def nested(texts: Sequence[str]) -> list[str]:
    """Functions inside functions: a new one begins where many names have come together, which saves a quarter of an empty call.

    Lua looks for each name that a function uses among the names in use of the function around it, in each call. A name of a function
    further out is found at once.
    """
    lines: list[str] = []
    known: set[str] = set()
    new = depth = 0
    for place, text in enumerate(texts):
        lines.append(text)
        names = declared(text)
        known, new = known | names, new + len(names)
        passed_on = known.intersection(chain.from_iterable(map(_words, texts[place + 1 :])))
        if new >= _LONG_LIST and 0 < len(passed_on) <= _MOST_PASSED_ON:
            lines.append("return (function()")
            new, depth = 0, depth + 1
    return [*lines, *["end)()"] * depth]


@cache
def declared(text: str) -> set[str]:
    """Local names of a text that what follows it can use."""
    return {name for names in _DECLARATION.findall(text) for name in names.replace(" ", "").split(",")}


@cache
def _words(text: str) -> set[str]:
    """Names that a text uses: local ones of others, its own, and those of fields of tables that it makes."""
    return set(_WORD.findall(_NOT_CODE.sub("", text)))
