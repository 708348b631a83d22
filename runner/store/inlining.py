"""Inlining: the expression of a short function in the place of its calls. To make a function takes Redis longer than what such a one does."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import chain
from typing import NamedTuple

from runner.store.lean import names_changed, names_given, words

_ONE_LINE = re.compile(r"(?m)^local function (\w+)\(([\w, ]*)\) return (.*) end *(?:--.*)?$")
_WORD = re.compile(r"'[^'\n]*'|(?<![\w.])[A-Za-z_]\w*|(?<=\.\.)[A-Za-z_]\w*")
_SIMPLE = re.compile(r"[A-Za-z_][\w.]*(?:\[\w+\])*|[0-9]+|'[^'\n]*'")
_CHOICE = re.compile(r"\b(?:and|or)\b")
_PART = re.compile(r"'[^'\n]*'|[()\[\]{},]")
_CALL = re.compile(r"([\w.]+)\(")
_OF_LUA = frozenset(
    [
        "and",
        "or",
        "not",
        "nil",
        "true",
        "false",
        "redis",
        "string",
        "math",
        "table",
        "cjson",
        "tonumber",
        "tostring",
        "type",
        "unpack",
        "ARGV",
        "KEYS",
    ]
)
_ONE_VALUE = frozenset({"tonumber", "string.format", "string.sub", "math.min", "math.max", "math.floor", "math.ceil"})
"""Functions that return one value each: of others an expression keeps the first alone."""


class _Short(NamedTuple):
    """A function that is one expression. free: names that it uses of what is around it."""

    name: str
    parameters: tuple[str, ...]
    expression: str
    free: frozenset[str]

    def using(self, others: Mapping[str, "_Short"]) -> "_Short":
        """The same with the expressions of these in the place of calls."""
        return self._replace(expression=_without_calls(self.expression, _named_in(self.expression, others)))


def inlined(texts: Sequence[str]) -> list[str]:
    """The same texts with expressions in the place of calls; definitions stay, though nothing may use them any more.

    It goes by words: a function's name and those that it uses must be given once each in the whole script, so that they mean the same
    everywhere. A call whose arguments the expression would use twice, or not always, stays as it is.
    """
    given = Counter(chain.from_iterable(map(names_given, texts)))
    changed = set(chain.from_iterable(map(names_changed, texts)))
    short: dict[str, _Short] = {}
    for one in chain.from_iterable(map(_short_ones, texts)):
        if given[one.name] == 1 and one.name not in changed and all(given[name] == 1 for name in one.free):
            short[one.name] = one.using(short)
    return [_without_calls(text, _named_in(text, short)) for text in texts]


def _named_in(text: str, functions: Mapping[str, "_Short"]) -> tuple[_Short, ...]:
    return tuple(functions[name] for name in sorted(words(text) & functions.keys()))


@cache
def _short_ones(text: str) -> tuple[_Short, ...]:
    found = []
    for name, given, expression in _ONE_LINE.findall(text):
        parameters = tuple(given.replace(" ", "").split(",")) if given else ()
        call = _CALL.match(expression)
        has_more_values = call and call[1] not in _ONE_VALUE and _arguments(expression, call.end())[1] == len(expression)
        if set(parameters) <= words(expression) and not has_more_values and words(expression).isdisjoint({"redis", "function"}):
            found.append(_Short(name, parameters, expression, words(expression) - _OF_LUA - set(parameters)))
    return tuple(found)


@cache
def _without_calls(text: str, functions: tuple[_Short, ...]) -> str:
    if not functions:
        return text
    by_name = {one.name: one for one in functions}
    call = re.compile(rf"--[^\n]*|'[^'\n]*'|(?<![\w.:])(?<!function )({'|'.join(by_name)})\(")
    parts, at = [], 0
    for found in call.finditer(text):
        if found[1] and found.start() >= at:
            arguments, end = _arguments(text, found.end())
            expression = _with_arguments(by_name[found[1]], [_without_calls(argument, functions) for argument in arguments])
            parts += [text[at : found.end()]] if not expression else [text[at : found.start()], expression]
            at = end if expression else found.end()
    return "".join([*parts, text[at:]])


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
