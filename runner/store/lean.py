"""Lean: a script without what it does not need, as Redis pays for it in each call: names of constants, and functions that nothing calls.

To make a function takes as long as a small command, for each name around it that it uses half as long again, and a script includes whole
files. In doubt all is left as it is.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import chain
from typing import NamedTuple

from runner.store.lua_text import Piece, Text

_NOT_CODE = re.compile(r"(--[^\n]*|'[^'\n]*')")
_CONSTANT_IN_USE = re.compile(r"(?<![\w.])[A-Z][A-Z0-9_]*(?!\w)")


class Lean(NamedTuple):
    """What is left of a text; the names that it uses, and those that what follows it can use; changed and late as of a `Text`."""

    text: str
    words: frozenset[str]
    declared: frozenset[str]
    changed: tuple[str, ...]
    late: tuple[str, ...]


class _Filled:
    """A text with constants in the place of their names. Most scripts have the same constants, and leave out the same pieces: it is kept."""

    def __init__(self, pieces: Sequence[Piece], values: Mapping[str, str]) -> None:
        self._pieces = pieces
        self._filled = [_with_literals(piece, values) for piece in pieces]
        self._kept: dict[tuple[int, ...], Lean] = {}
        self.backwards = [
            (place, words, piece.names, piece.is_late) for place, (piece, (_, words)) in enumerate(zip(pieces, self._filled, strict=True))
        ][::-1]
        """Of each piece, from the last to the first: its place, the names that it uses and defines, and whether these are late."""

    def kept(self, places: tuple[int, ...]) -> Lean:
        """What is left with these pieces."""
        found = self._kept.get(places)
        if found is None:
            pieces = [self._pieces[place] for place in places]
            filled = [self._filled[place] for place in places]
            found = self._kept[places] = Lean(
                "".join([text for text, _ in filled]),
                frozenset().union(*[words for _, words in filled]),
                frozenset().union(*[piece.declared for piece in pieces]),
                tuple(chain.from_iterable(piece.changed for piece in pieces)),
                tuple(name for piece in pieces if piece.is_late for name in piece.names),
            )
        return found


def lean(texts: Sequence[Text]) -> list[Lean]:
    """The same texts, in their order, with constants in the place of their names, and without definitions that nothing uses."""
    literals = _literals(texts)
    used: set[str] = set()
    found: list[Lean] = []
    for text in reversed(texts):
        filled = _filled(text, tuple(map(literals.get, text.constants)))
        kept: list[int] = []
        for place, words, names, is_late in filled.backwards:
            if not names or not used.isdisjoint(names) or (is_late and any(_is_used(name, texts) for name in names)):
                used |= words
                kept.append(place)
        found.append(filled.kept(tuple(kept[::-1])))
    return found[::-1]


def whole(text: Text) -> Lean:
    """All of a text as it is."""
    return _Filled(text.pieces, {}).kept(tuple(range(len(text.pieces))))


@cache
def _filled(text: Text, values: tuple[str | None, ...]) -> _Filled:
    return _Filled(text.pieces, {name: value for name, value in zip(text.constants, values, strict=True) if value is not None})


def _with_literals(piece: Piece, values: Mapping[str, str]) -> tuple[str, frozenset[str]]:
    """Its text with constants in the place of their names, but where they are defined; and the names that this uses."""
    used = piece.words & values.keys()
    if not used or not piece.names.isdisjoint(values):
        return piece.text, piece.words
    code = _NOT_CODE.split(piece.text)
    code[::2] = [_CONSTANT_IN_USE.sub(lambda found: values.get(found[0], found[0]), part) for part in code[::2]]
    return "".join(code), piece.words - used


def _is_used(name: str, texts: Sequence[Text]) -> bool:
    """By more than the function of this name."""
    return sum(text.users[name] for text in texts) > 1


def _literals(texts: Sequence[Text]) -> dict[str, str]:
    """Constants of a script that are numbers and texts; not those of whose names there are several."""
    literals = {name: value for text in texts for name, value in text.literals.items()}
    times: Counter[str] = Counter()
    for text in texts:
        for name in text.named.keys() & literals.keys():
            times[name] += text.named[name]
    return {name: value for name, value in literals.items() if times[name] == 1}
