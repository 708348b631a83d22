"""Lean: a script without what it does not need, as Redis pays for it in each call: names of constants, and functions that nothing calls.

To make a function takes as long as a small command, for each name around it that it uses half as long again, and a script includes whole
files. It goes by words, and in doubt leaves all as it is. It relies on how the files are laid out: what is of a file's own level begins a
line, and so does its end.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import chain
from typing import NamedTuple

_NOT_CODE = re.compile(r"(--[^\n]*|'[^'\n]*')")
_WORD = re.compile(r"(?<![\w.])[A-Za-z_]\w*|(?<=\.\.)[A-Za-z_]\w*")
_GOES_ON = re.compile(r"\s|end\b|[})\]]|else|until\b|$")
_FUNCTION = re.compile(r"\s*(?:(local )(?:function )?|function )(\w+)(?:\(| = lazily\()")
_VALUES = re.compile(r"\s*local ([\w, ]+?)(?: = ([^(]*))?\n?")
_NAMES = re.compile(r"\blocal (?:function )?([\w, ]+)|\bfor ([\w, ]+) (?:=|in)\b|\bfunction\b[^(\n]*\(([\w, ]*)")
_SET = re.compile(r"(?<![\w.])([A-Z][A-Z0-9_]*)(?: =(?!=)|,[\w, ]* =(?!=))")
_CONSTANT = re.compile(r"[A-Z][A-Z0-9_]*")
_LITERAL = re.compile(r"[0-9]+(?:\.[0-9]+)?|'[^'\n]*'")


class Piece(NamedTuple):
    """Some lines of a script: one definition, or whatever else.

    names: what it defines, and nothing more; empty if it does more than that. is_late: a function whose name was declared before, so that
    what comes before it can use it too. words: the names that it uses, its own among them unless it only declares them.
    """

    text: str
    names: frozenset[str]
    is_late: bool
    words: frozenset[str]


def lean(texts: Sequence[str]) -> list[str]:
    """The same texts, in their order, with constants in the place of their names, and without definitions that nothing uses."""
    literals = _literals(texts)
    pieces = [(place, piece) for place, text in enumerate(texts) for piece in _pieces(_with_literals(text, _known(text, literals)))]
    users = Counter(chain.from_iterable(piece.words for _, piece in pieces))
    used: set[str] = set()
    kept: list[list[str]] = [[] for _ in texts]
    for place, piece in reversed(pieces):
        if not piece.names or not used.isdisjoint(piece.names) or (piece.is_late and any(users[name] > 1 for name in piece.names)):
            used |= piece.words
            kept[place].append(piece.text)
    return ["".join(reversed(lines)) for lines in kept]


@cache
def words(text: str) -> frozenset[str]:
    """Names that a text uses: local ones of others, its own, and those of fields of tables that it makes."""
    return frozenset(_WORD.findall(_NOT_CODE.sub("", text)))


@cache
def _pieces(text: str) -> tuple[Piece, ...]:
    """A text in pieces: what is of its own level, and of that of its blocks."""
    found: list[Piece] = []
    in_block = False
    lines: list[str] = []
    for line in text.splitlines(keepends=True):
        is_inside = in_block and line.startswith("  ")
        begins = not _GOES_ON.match(line) or (is_inside and not _GOES_ON.match(line[2:]))
        if begins or (in_block and line.startswith("end")):
            found += _piece(lines)
            lines = []
            in_block = is_inside or line.rstrip() == "do"
        lines.append(line)
    return (*found, *_piece(lines))


def _piece(lines: Sequence[str]) -> Iterable[Piece]:
    if not lines:
        return
    text = "".join(lines)
    if function := _FUNCTION.match(text):
        yield Piece(text, frozenset({function[2]}), not function[1], words(text))
    elif text.lstrip().startswith("local ") and (values := _VALUES.fullmatch(_NOT_CODE.sub("''", text))):
        yield Piece(text, frozenset(_split(values[1])), False, words(text) if values[2] else frozenset())
    else:
        yield Piece(text, frozenset(), False, words(text))


def _split(names: str) -> list[str]:
    return names.replace(" ", "").split(",")


def _literals(texts: Sequence[str]) -> dict[str, str]:
    """Constants of a script that are numbers and texts; not those of whose names there are several."""
    facts = [_facts(text) for text in texts]
    literals = dict(chain.from_iterable(literals for literals, _ in facts))
    times = Counter(chain.from_iterable(names for _, names in facts))
    return {name: value for name, value in literals.items() if times[name] == 1}


@cache
def _facts(text: str) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """The constants that a text defines, with their values; and the names, one each time, that it defines or sets anywhere."""
    literals: list[tuple[str, str]] = []
    for piece in _pieces(text):
        if piece.names and (values := _VALUES.fullmatch(_without_remarks(piece.text))) and values[2]:
            names, told = _split(values[1]), [value.strip() for value in values[2].split(",")]
            if len(names) == len(told) and all(map(_CONSTANT.fullmatch, names)) and all(map(_LITERAL.fullmatch, told)):
                literals += zip(names, told, strict=True)
    code = _NOT_CODE.sub("''", text)
    named = [name for groups in _NAMES.findall(code) for name in _split(",".join(groups)) if _CONSTANT.fullmatch(name)]
    return tuple(literals), (*named, *_set_elsewhere(code))


def _set_elsewhere(code: str) -> Iterable[str]:
    """Constants' names that are given a value otherwise than by `local`, as those of fields of a table are."""
    return _SET.findall(re.sub(r"\blocal [\w, ]+", "", code))


def _without_remarks(text: str) -> str:
    return re.sub(r" *--[^\n]*", "", text)


def _known(text: str, literals: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Those constants that a text names."""
    return tuple(sorted((name, literals[name]) for name in words(text) & literals.keys()))


@cache
def _with_literals(text: str, literals: tuple[tuple[str, str], ...]) -> str:
    """A text with constants in the place of their names, but where they are defined."""
    if not literals:
        return text
    values = dict(literals)
    name = re.compile(rf"(?<![\w.])(?:{'|'.join(values)})(?!\w)")
    parts = []
    for piece in _pieces(text):
        if not piece.names.isdisjoint(values):
            parts.append(piece.text)
            continue
        code = _NOT_CODE.split(piece.text)
        code[::2] = [name.sub(lambda found: values[found[0]], part) for part in code[::2]]
        parts.append("".join(code))
    return "".join(parts)
