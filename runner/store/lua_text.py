"""What is known of a text of Lua: its pieces, and the names that these define, use and change. Each file is read once, for all scripts.

It goes by words, and relies on how the files are laid out: what is of a file's own level begins a line, and so does its end.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache, cached_property
from itertools import chain

_NOT_CODE = re.compile(r"--[^\n]*|'[^'\n]*'")
_DOTTED = re.compile(r"[\w.]+")
_GOES_ON = re.compile(r"\s|end\b|[})\]]|else|until\b|$")
_FUNCTION = re.compile(r"\s*(?:(local )(?:function )?|function )(\w+)(?:\(| = lazily\()")
_VALUES = re.compile(r"\s*local ([\w, ]+?)(?: = ([^(]*))?\n?")
_NAMES = re.compile(r"\b(?:local (?:function )?([\w, ]+)|for ([\w, ]+) (?:=|in\b)|function\b[^(\n]*\(([\w, ]*))")
_TARGETS = re.compile(r"(?:\b(local |for )|(?<![\w.]))((?:\w+, )*\w+)$")
_LATE = re.compile(r"(?<!local )\bfunction (\w+)\(")
_SET = re.compile(r"(?<![\w.])([A-Z][A-Z0-9_]*)(?: =(?!=)|,[\w, ]* =(?!=))")
_DEFINED = re.compile(r"\blocal [\w, ]+")
_DECLARATION = re.compile(r"^local (?:function )?([\w, ]+)", re.MULTILINE)
_REMARK = re.compile(r" *--[^\n]*")
_CONSTANT = re.compile(r"[A-Z][A-Z0-9_]*")
_LITERAL = re.compile(r"[0-9]+(?:\.[0-9]+)?|'[^'\n]*'")
_MAKES_NAMES = frozenset({"local", "for", "function"})


class Piece:
    """Some lines of a text: one definition, or whatever else.

    names: what it defines, and nothing more; empty if it does more than that. is_late: a function whose name was declared before, so that
    what comes before it can use it too. words: the names that it uses, its own among them unless it only declares them, and fields of tables
    that it makes. literals: the constants that it defines as numbers and texts. declared: the local names that what follows it can use.
    given: names of variables, functions and arguments that it declares anywhere, one each time. changed: names that it gives a value elsewhere
    than where it declares them, one each time; among them those of fields of tables.
    """

    __slots__ = ("changed", "code", "declared", "given", "is_late", "literals", "names", "text", "words")

    def __init__(self, text: str, code: str) -> None:
        self.text = text
        self.code = code
        self.words = _words(code)
        self.names: frozenset[str] = frozenset()
        self.is_late = False
        self.literals: dict[str, str] = {}
        self.declared: frozenset[str] = frozenset()
        self.given: tuple[str, ...] = ()
        if not _MAKES_NAMES.isdisjoint(self.words):
            self.given = tuple(name for groups in _NAMES.findall(code) for names in groups if names for name in _split(names))
            self.declared = frozenset(chain.from_iterable(map(_split, _DECLARATION.findall(code))))
        self.changed = _changed_in(code)
        self._see_what_it_defines()

    def _see_what_it_defines(self) -> None:
        if function := _FUNCTION.match(self.code):
            self.names, self.is_late = frozenset({function[2]}), not function[1]
        elif "local" in self.words and (values := _VALUES.fullmatch(self.code)):
            names = _split(values[1])
            self.names = frozenset(names)
            if not values[2]:
                self.words = frozenset()
            elif all(map(_CONSTANT.fullmatch, names)):
                self.literals = _literals_of(names, self.text)


class Text:
    """A text in pieces."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.pieces = tuple(pieces)
        self.users = Counter(chain.from_iterable(piece.words for piece in pieces))
        """How many pieces use a name."""
        self.literals = {name: value for piece in pieces for name, value in piece.literals.items()}
        self.given = tuple(chain.from_iterable(piece.given for piece in pieces))
        self.changed = frozenset(chain.from_iterable(piece.changed for piece in pieces))
        self.declared = frozenset(chain.from_iterable(piece.declared for piece in pieces))
        self.constants = sorted(filter(str.isupper, self.users))

    @cached_property
    def named(self) -> Counter[str]:
        """Names like those of constants that it defines, or sets otherwise, as those of fields of a table; and how often."""
        defined = filter(_CONSTANT.fullmatch, self.given)
        with_constants = [piece.code for piece in self.pieces if piece.changed and not piece.code.islower()]
        return Counter([*defined, *chain.from_iterable(_SET.findall(_DEFINED.sub("", code)) for code in with_constants)])


@cache
def piece_of(text: str) -> Piece:
    """One piece again, with another text."""
    return Piece(text, code_of(text))


@cache
def text_of(pieces: tuple[Piece, ...]) -> Text:
    """The text of these pieces, one and the same whenever it is asked for."""
    return Text(pieces)


@cache
def read(text: str) -> Text:
    """A text that is in a file, or a part of one."""
    return text_of(tuple(Piece(*both) for both in _pieces(text if text.endswith("\n") else f"{text}\n")))


def words_of(text: str) -> frozenset[str]:
    """Names that a text uses: all but those of fields."""
    return _words(code_of(text))


def _words(code: str) -> frozenset[str]:
    return frozenset(chain.from_iterable(map(_words_in, set(_DOTTED.findall(code)))))


@cache
def _words_in(dotted: str) -> tuple[str, ...]:
    """The names in what has no space and no operator within but two dots, as `a.b..c`: not those of fields."""
    return tuple(name for name in (part.split(".", 1)[0] for part in dotted.split("..")) if name and not name[0].isdigit())


def _changed_in(code: str) -> tuple[str, ...]:
    changed = _LATE.findall(code) if "function " in code else []
    for before in code.split(" = ")[:-1]:
        targets = _TARGETS.search(before, before.rfind("\n") + 1)
        if targets and not targets[1]:
            changed += _split(targets[2])
    return tuple(changed)


def _literals_of(names: Sequence[str], text: str) -> dict[str, str]:
    """These constants with their values, if all of them are numbers and texts."""
    values = _VALUES.fullmatch(_REMARK.sub("", text))
    told = [value.strip() for value in values[2].split(",")] if values and values[2] else []
    return dict(zip(names, told, strict=True)) if len(names) == len(told) and all(map(_LITERAL.fullmatch, told)) else {}


def code_of(text: str) -> str:
    """A text of the same length without its remarks, and with nothing in its strings."""
    return _NOT_CODE.sub(lambda found: f"''{' ' * (len(found[0]) - 2)}", text)


def _pieces(text: str) -> Iterable[tuple[str, str]]:
    """The lines of what is of the text's own level, and of that of its blocks; each as it is and as code."""
    in_block = False
    lines: list[str] = []
    code: list[str] = []
    for line, coded in zip(text.splitlines(keepends=True), code_of(text).splitlines(keepends=True), strict=True):
        is_inside = in_block and line.startswith("  ")
        begins = not _GOES_ON.match(line) or (is_inside and not _GOES_ON.match(line, 2))
        if begins or (in_block and line.startswith("end")):
            if lines:
                yield "".join(lines), "".join(code)
            lines, code = [], []
            in_block = is_inside or line.rstrip() == "do"
        lines.append(line)
        code.append(coded)
    if lines:
        yield "".join(lines), "".join(code)


def _split(names: str) -> list[str]:
    return names.replace(" ", "").split(",")
