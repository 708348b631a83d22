"""Lean: a script without what it does not need, as Redis pays for it in each call: names of constants, and functions that nothing calls.

To make a function takes as long as a small command, for each name around it that it uses half as long again, and a script includes whole
files. It goes by words, and in doubt leaves all as it is. It relies on how the files are laid out: what is of a file's own level begins a
line, and so does its end.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, cached_property
from itertools import chain
from typing import NamedTuple

_NOT_CODE = re.compile(r"(--[^\n]*|'[^'\n]*')")
_WORD = re.compile(r"(?<![\w.])[A-Za-z_]\w*|(?<=\.\.)[A-Za-z_]\w*")
_GOES_ON = re.compile(r"\s|end\b|[})\]]|else|until\b|$")
_FUNCTION = re.compile(r"\s*(?:(local )(?:function )?|function )(\w+)(?:\(| = lazily\()")
_VALUES = re.compile(r"\s*local ([\w, ]+?)(?: = ([^(]*))?\n?")
_NAMES = re.compile(r"\blocal (?:function )?([\w, ]+)|\bfor ([\w, ]+) (?:=|in\b)|\bfunction\b[^(\n]*\(([\w, ]*)")
_ASSIGNED = re.compile(r"(?<![\w.])((?:\w+, )*\w+) =(?!=)|\bfunction (\w+)\(")
_DECLARED = re.compile(r"\blocal (?:function )?[\w, ]+|\bfor [\w, ]+ =")
_SET = re.compile(r"(?<![\w.])([A-Z][A-Z0-9_]*)(?: =(?!=)|,[\w, ]* =(?!=))")
_DECLARATION = re.compile(r"^local (?:function )?([\w, ]+)", re.MULTILINE)
_DEFINED = re.compile(r"\blocal [\w, ]+")
_REMARK = re.compile(r" *--[^\n]*")
_LOCAL = re.compile(r"\s*local ")
_CONSTANT = re.compile(r"[A-Z][A-Z0-9_]*")
_IN_USE = re.compile(rf"(?<![\w.]){_CONSTANT.pattern}(?!\w)")
_LITERAL = re.compile(r"[0-9]+(?:\.[0-9]+)?|'[^'\n]*'")


class Piece:
    """Some lines of a text: one definition, or whatever else.

    names: what it defines, and nothing more; empty if it does more than that. is_late: a function whose name was declared before, so that
    what comes before it can use it too. words: the names that it uses, its own among them unless it only declares them. literals: the
    constants that it defines as numbers and texts. declared: the local names that what follows it can use.
    """

    __slots__ = ("declared", "is_late", "literals", "names", "text", "words")

    def __init__(self, text: str) -> None:
        code = _code_of(text)
        self.text = text
        self.words = frozenset(_WORD.findall(code))
        self.names: frozenset[str] = frozenset()
        self.is_late = False
        self.literals: dict[str, str] = {}
        self.declared = declared(text)
        if function := _FUNCTION.match(text):
            self.names, self.is_late = frozenset({function[2]}), not function[1]
        elif _LOCAL.match(text) and (values := _VALUES.fullmatch(code)):
            names = _split(values[1])
            self.names = frozenset(names)
            if not values[2]:
                self.words = frozenset()
            elif all(map(_CONSTANT.fullmatch, names)):
                self.literals = _literals_of(names, text)

    def with_literals(self, values: Mapping[str, str]) -> tuple[str, frozenset[str]]:
        """Its text with constants in the place of their names, but where they are defined; and the names that this uses."""
        used = self.words & values.keys()
        if not used or not self.names.isdisjoint(values):
            return self.text, self.words
        code = _NOT_CODE.split(self.text)
        code[::2] = [_IN_USE.sub(lambda found: values.get(found[0], found[0]), part) for part in code[::2]]
        return "".join(code), self.words - used


def _literals_of(names: Sequence[str], text: str) -> dict[str, str]:
    """These constants with their values, if all of them are numbers and texts."""
    values = _VALUES.fullmatch(_REMARK.sub("", text))
    told = [value.strip() for value in values[2].split(",")] if values and values[2] else []
    return dict(zip(names, told, strict=True)) if len(names) == len(told) and all(map(_LITERAL.fullmatch, told)) else {}


class Text:
    """A text in pieces, read once for all scripts that include it."""

    def __init__(self, text: str) -> None:
        self.pieces = [Piece(lines) for lines in _pieces(text)]
        self.users = Counter(chain.from_iterable(piece.words for piece in self.pieces))
        """How many pieces use a name."""
        self.literals = {name: value for piece in self.pieces for name, value in piece.literals.items()}
        self._constants = sorted(filter(str.isupper, self.users))
        self._with_capitals = "\n".join(line for line in _code_of(text).splitlines() if not line.islower())
        self._filled: dict[tuple[str | None, ...], list[Filled]] = {}

    @cached_property
    def named(self) -> Counter[str]:
        """Names like those of constants that it defines, or sets otherwise, as those of fields of a table; and how often."""
        defined = [name for groups in _NAMES.findall(self._with_capitals) for name in _split(",".join(groups)) if _CONSTANT.fullmatch(name)]
        return Counter([*defined, *_SET.findall(_DEFINED.sub("", self._with_capitals))])

    def with_literals(self, literals: Mapping[str, str]) -> "list[Filled]":
        """Its pieces with constants in the place of their names: the same in most scripts, so it is kept."""
        known = tuple(map(literals.get, self._constants))
        if known not in self._filled:
            values = {name: value for name, value in zip(self._constants, known, strict=True) if value is not None}
            self._filled[known] = [
                Filled(*piece.with_literals(values), piece.names, piece.declared, is_late=piece.is_late) for piece in self.pieces
            ]
        return self._filled[known]


class Filled(NamedTuple):
    """A piece with constants in the place of their names, see `Piece`."""

    text: str
    words: frozenset[str]
    names: frozenset[str]
    declared: frozenset[str]
    is_late: bool


class Lean(NamedTuple):
    """What is left of a text; the names that it uses, and those that what follows it can use."""

    text: str
    words: frozenset[str]
    declared: frozenset[str]


_read = cache(Text)


def lean(texts: Sequence[str]) -> list[Lean]:
    """The same texts, in their order, with constants in the place of their names, and without definitions that nothing uses."""
    read = [_read(text) for text in texts]
    literals = _literals(read)
    used: set[str] = set()
    found: list[Lean] = []
    for text in reversed(read):
        kept: list[Filled] = []
        for piece in reversed(text.with_literals(literals)):
            _, words_here, names, _, is_late = piece
            if not names or not used.isdisjoint(names) or (is_late and any(_is_used(name, read) for name in names)):
                used |= words_here
                kept.append(piece)
        found.append(_joined(kept[::-1]))
    return found[::-1]


def _joined(pieces: Sequence[Filled]) -> Lean:
    return Lean(
        "".join([piece.text for piece in pieces]),
        frozenset().union(*[piece.words for piece in pieces]),
        frozenset().union(*[piece.declared for piece in pieces]),
    )


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


@cache
def words(text: str) -> frozenset[str]:
    """Names that a text uses: local ones of others, its own, and those of fields of tables that it makes."""
    return frozenset(_WORD.findall(_code_of(text)))


@cache
def names_given(text: str) -> tuple[str, ...]:
    """Names of local variables, functions and arguments that a text declares, one each time."""
    return tuple(name for groups in _NAMES.findall(_code_of(text)) for names in groups if names for name in _split(names))


@cache
def names_changed(text: str) -> tuple[str, ...]:
    """Names that a text gives a value elsewhere than where it declares them, one each time; among them those of fields of tables."""
    code = _DECLARED.sub("local", text)
    return tuple(name for values, function in _ASSIGNED.findall(code) for name in _split(values or function))


@cache
def late_names(text: str) -> tuple[str, ...]:
    """Functions of a text whose names were declared before."""
    return tuple(name for piece in map(Piece, _pieces(text)) if piece.is_late for name in piece.names)


def _code_of(text: str) -> str:
    """A text without its remarks, and with nothing in its strings."""
    return _NOT_CODE.sub("''", text)


@cache
def declared(text: str) -> frozenset[str]:
    """Local names of a text that what follows it can use."""
    return frozenset(chain.from_iterable(map(_split, _DECLARATION.findall(text))))


def _pieces(text: str) -> Iterable[str]:
    """The lines of what is of the text's own level, and of that of its blocks."""
    in_block = False
    lines: list[str] = []
    for line in text.splitlines(keepends=True):
        is_inside = in_block and line.startswith("  ")
        begins = not _GOES_ON.match(line) or (is_inside and not _GOES_ON.match(line[2:]))
        if begins or (in_block and line.startswith("end")):
            if lines:
                yield "".join(lines)
            lines = []
            in_block = is_inside or line.rstrip() == "do"
        lines.append(line)
    if lines:
        yield "".join(lines)


def _split(names: str) -> list[str]:
    return names.replace(" ", "").split(",")
