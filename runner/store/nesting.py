"""Nesting: which texts of a script are inside a function of their own, so that Redis makes the functions of a call in less time."""

from collections import Counter
from collections.abc import Sequence
from itertools import chain

from runner.store.lean import Lean

_LONG_LIST = 30
"""Names in one function from which on another inside it saves more than it costs."""
_MOST_SHARED = 60
"""Names of the functions around it that one function of Lua 5.1 can use."""


def nested(texts: Sequence[Lean]) -> list[str]:
    """Functions inside functions: a new one begins where many names have come together, which saves a quarter of an empty call.

    Lua looks for each name that a function uses among the names in use of the function around it, in each call. A name of a function
    further out is found at once. Of those there can be 60 only: values of further names, which nothing changes from there on, are
    arguments of the function.
    """
    users = Counter(chain.from_iterable(text.words for text in texts))
    last_used: dict[str, int] = {}
    for place, text in enumerate(texts):
        last_used.update(dict.fromkeys(text.words, place))
    lines: list[str] = []
    ends: list[str] = []
    known: set[str] = set()
    new = 0
    for place, text in enumerate(texts):
        lines.append(text.text)
        known |= text.declared
        new += len(text.declared)
        if new < _LONG_LIST:
            continue
        needed = [name for name in known if last_used.get(name, place) > place]
        passed: list[str] = []
        if len(needed) > _MOST_SHARED:
            changed = _changed(texts, place)
            needed.sort(key=lambda name: (name not in changed, -users[name], name))
            passed = needed[_MOST_SHARED:]
            if not changed.isdisjoint(passed):
                continue
        if needed:
            lines.append(f"return (function({', '.join(passed)})")
            ends.append(f"end)({', '.join(passed)})")
            new = 0
    return [*lines, *reversed(ends)]


def _changed(texts: Sequence[Lean], place: int) -> set[str]:
    """Names that can be given another value once this text has run: not functions that were declared first and are written by now."""
    times = Counter(chain.from_iterable(text.changed for text in texts))
    times.subtract(chain.from_iterable(text.late for text in texts[: place + 1]))
    return {name for name, left in times.items() if left > 0}
