"""Inlining: the expression of a short function in the place of its calls. To make a function takes Redis longer than what such a one does."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from operator import itemgetter

from runner.store.lua_text import Piece, Text, code_of, piece_of, text_of, words_of

_ONE_LINE = re.compile(r"(?m)^local function (\w+)\(([\w, ]*)\) return (.*) end *(?:--.*)?$")
_WORD = re.compile(r"'[^'\n]*'|(?<![\w.])[A-Za-z_]\w*|(?<=\.\.)[A-Za-z_]\w*")
_SIMPLE = re.compile(r"[A-Za-z_][\w.]*(?:\[\w+\])*|[0-9]+|'[^'\n]*'")
_CHOICE = re.compile(r"\b(?:and|or)\b")
_PART = re.compile(r"'[^'\n]*'|[()\[\]{},]")
_CALL = re.compile(r"([\w.]+)\(")
_PART_OF_A_NAME = re.compile(r"[\w.:]")
_OF_LUA = frozenset({"and", "or", "not", "nil", "true", "false", "ARGV", "KEYS"}) | {
    *("redis", "string", "math", "table", "cjson"),
    *("tonumber", "tostring", "type", "unpack"),
}
_ONE_VALUE = frozenset({"tonumber", "string.format", "string.sub", "math.min", "math.max", "math.floor", "math.ceil"})
"""Functions that return one value each: of others an expression keeps the first alone."""


@dataclass(frozen=True, slots=True, eq=False)
class _Short:
    """A function that is one expression. free: names that it uses of what is around it."""

    name: str
    parameters: tuple[str, ...]
    expression: str
    free: frozenset[str]


def inlined(texts: Sequence[Text]) -> list[Text]:
    """The same texts with expressions in the place of calls; definitions stay, though nothing may use them any more.

    It goes by words: a function's name and those that it uses must be given once each in the whole script, so that they mean the same
    everywhere. A call whose arguments the expression would use twice, or not always, stays as it is.
    """
    given = Counter(chain.from_iterable([text.given for text in texts]))
    changed = frozenset[str]().union(*[text.changed for text in texts])
    short: dict[str, _Short] = {}
    for one in chain.from_iterable(map(_short_ones, texts)):
        if given[one.name] == 1 and one.name not in changed and all(given[name] == 1 for name in one.free):
            short[one.name] = _using(one, _named_in(words_of(one.expression), short))
    return [_text_without_calls(text, _named_in(text.users, short)) for text in texts]


def _named_in(names: Iterable[str], functions: Mapping[str, _Short]) -> tuple[_Short, ...]:
    return tuple(functions[name] for name in sorted(functions.keys() & names))


@cache
def _short_ones(text: Text) -> tuple[_Short, ...]:
    found = []
    for piece in text.pieces:
        for name, given, expression in _ONE_LINE.findall(piece.text):
            parameters = tuple(given.replace(" ", "").split(",")) if given else ()
            words = words_of(expression)
            call = _CALL.match(expression)
            has_more_values = call and call[1] not in _ONE_VALUE and _arguments(expression, call.end())[1] == len(expression)
            if words.issuperset(parameters) and not has_more_values and words.isdisjoint({"redis", "function"}):
                found.append(_Short(name, parameters, expression, words - _OF_LUA - set(parameters)))
    return tuple(found)


@cache
def _using(one: _Short, others: tuple[_Short, ...]) -> _Short:
    """The same with the expressions of these in the place of calls. Kept, as all else, since most scripts have the same ones."""
    return replace(one, expression=_without_calls(one.expression, others))


@cache
def _text_without_calls(text: Text, functions: tuple[_Short, ...]) -> Text:
    if not functions:
        return text
    by_name = {one.name: one for one in functions}
    return text_of(tuple(_piece_without_calls(piece, _named_in(piece.words, by_name)) for piece in text.pieces))


@cache
def _piece_without_calls(piece: Piece, functions: tuple[_Short, ...]) -> Piece:
    changed = _without_calls(piece.text, functions)
    return piece if changed == piece.text else piece_of(changed)


def _without_calls(text: str, functions: tuple[_Short, ...]) -> str:
    parts, at = [], 0
    for begin, function in _calls(text, functions):
        if begin >= at:
            arguments, end = _arguments(text, begin + len(function.name) + 1)
            expression = _with_arguments(function, [_without_calls(argument, functions) for argument in arguments])
            if expression:
                parts += [text[at:begin], expression]
                at = end
    return "".join([*parts, text[at:]])


def _calls(text: str, functions: tuple[_Short, ...]) -> list[tuple[int, _Short]]:
    """Where these are called, in order."""
    code = code_of(text) if functions else ""
    found = []
    for function in functions:
        call = f"{function.name}("
        at = code.find(call)
        while at >= 0:
            if not _PART_OF_A_NAME.match(code, at - 1, at) and not code.endswith("function ", 0, at):
                found.append((at, function))
            at = code.find(call, at + 1)
    return sorted(found, key=itemgetter(0))


def _arguments(text: str, begin: int) -> tuple[list[str], int]:
    """What is between the brackets of a call, and where the text goes on after it."""
    arguments, depth, at = [], 1, begin
    for part in _PART.finditer(text, begin):
        if part[0] in "([{":
            depth += 1
        elif part[0] in ")]}":
            depth -= 1
        if depth == 0 or (depth == 1 and part[0] == ","):
            arguments.append(text[at : part.start()].strip())
            at = part.end()
        if depth == 0:
            return [argument for argument in arguments if argument], at
    raise ValueError(f"a call without an end: {text[begin : begin + 40]!r}")


def _with_arguments(function: _Short, arguments: Sequence[str]) -> str:
    """Its expression with these arguments; nothing if that would do something else than the call."""
    if len(arguments) != len(function.parameters):
        return ""
    values = dict(zip(function.parameters, arguments, strict=True))
    uses = Counter(_WORD.findall(function.expression))
    complex_ones = [name for name, value in values.items() if not _SIMPLE.fullmatch(value)]
    if len(complex_ones) > 1 or any(uses[name] > 1 or _CHOICE.search(function.expression) for name in complex_ones):
        return ""
    told = {name: f"({value})" if name in complex_ones else value for name, value in values.items()}
    return f"({_WORD.sub(lambda word: told.get(word[0], word[0]), function.expression)})"
