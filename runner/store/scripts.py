"""Loads lua/*.lua: one file is one state transition. Names of KEYS and ARGV come from its header; lua/include/* are pasted in; NOSCRIPT is healed."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Protocol

from redis.exceptions import NoScriptError, ResponseError

from runner.connection import is_full

_HEADER_LINE = re.compile(r"^-- (KEYS|ARGV|include|full): (.*)$", re.MULTILINE)
_LATER_LINE = re.compile(r"^-- include from here on: (.*)$", re.MULTILINE)
_NAME = re.compile(r"([a-z_]+)(\.\.\.)?")
_WRITE_FIRST = "redis.call('DEL', KEYS[1]) -- no key has the name of the prefix"
_DECLARATION = re.compile(r"^local (?:function )?([\w, ]+)", re.MULTILINE)

Argument = str | bytes | int


class ThreadRedis(Protocol):
    """What a script needs of a client used from a thread."""

    def execute_command(self, *args: Any, **options: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class Script:
    """One transition. Call it with its named arguments; the last may be a sequence if the header names it `name...`.

    A server that has lost its script cache answers NOSCRIPT without having run anything, so sending the text again is safe.
    One whose memory is full refuses a script at its first write, so nothing was written then either: it is run again as `going_on`,
    unless its header says `full: refused`.
    """

    name: str
    source: str
    sha: str
    arguments: tuple[str, ...]
    rest: str | None
    refused_when_full: bool = False
    going_on: "Script | None" = None
    """The same, run also when memory is full: Redis lets a script go on that has written something, so this begins with a write that
    needs no memory. None for a script that is this already."""

    def call(self, key: str, rest: Sequence[Argument] = (), /, **named: Argument) -> list[Argument]:
        """The command, for a server that has the script in its cache. Raises TypeError if the names are not those of the header."""
        try:
            words = map(named.__getitem__, self.arguments)
            command = ["EVALSHA", self.sha, "1", key, *words, *rest]
        except KeyError:
            command = []
        if not command or len(named) != len(self.arguments):
            message = f"script {self.name} takes {self.arguments}, got {tuple(named)}"
            raise TypeError(message)
        return command

    def call_again(self, refused: list[Argument], refusal: ResponseError) -> list[Argument] | None:
        """The command after one that was refused before it did anything; None if it stays refused."""
        begin, text, *arguments = refused
        if isinstance(refusal, NoScriptError) and begin == "EVALSHA":
            known = self if text == self.sha or self.going_on is None else self.going_on
            return ["EVAL", known.source, *arguments]
        if self.going_on is None or self.refused_when_full or text in (self.going_on.sha, self.going_on.source) or not is_full(refusal):
            return None
        return ["EVALSHA", self.going_on.sha, *arguments]

    def run_in_thread(self, redis: ThreadRedis, key: str, rest: Sequence[Argument] = (), /, **named: Argument) -> Any:
        command = self.call(key, rest, **named)
        while True:
            try:
                return redis.execute_command(*command)
            except ResponseError as refusal:
                again = self.call_again(command, refusal)
                if again is None:
                    raise
            command = again


@cache
def load(name: str) -> Script:
    """The script of lua/<name>.lua, with its includes and a local variable for each name in their headers, those of the includes first."""
    texts = _with_includes(name)
    arguments: list[str] = []
    rest = None
    for part in [*(part for part in texts if part != name), name]:
        header = dict(_HEADER_LINE.findall(texts[part]))
        # An include may do without arguments and includes of its own; a script says what it takes, even if that is nothing.
        named, rest = _names(part, header["ARGV"] if part == name or "ARGV" in header else None)
        arguments += named
    prelude = ["local prefix = KEYS[1]"]
    prelude += [f"local {argument} = ARGV[{index}]" for index, argument in enumerate(arguments, 1)]
    if rest is not None:
        prelude.append(f"local {rest}_at = {len(arguments) + 1}")
    _check_names(name, arguments, list(texts.values()))
    source = "\n".join([*prelude, *texts.values()])
    going_on = f"{_WRITE_FIRST}\n{source}"
    refused = dict(_HEADER_LINE.findall(texts[name])).get("full", "").startswith("refused")
    return Script(
        name, source, _sha(source), tuple(arguments), rest, refused, Script(name, going_on, _sha(going_on), tuple(arguments), rest, refused)
    )


def script_names() -> list[str]:
    """Every transition there is."""
    entries = files("runner.store").joinpath("lua").iterdir()
    return sorted(entry.name.removesuffix(".lua") for entry in entries if entry.name.endswith(".lua"))


def _sha(source: str) -> str:
    """The name Redis gives a script."""
    return hashlib.sha1(source.encode()).hexdigest()  # noqa: S324 - not for secrecy


def _with_includes(name: str) -> dict[str, str]:
    """The texts of a file and of all it includes, in the order in which they must stand, each once.

    Redis runs all of a script's text at each call, down to the definitions of functions it will not use: what a script needs
    only now and then it includes further down, with `-- include from here on:`, behind a return for all other calls.
    """
    text, *later = _LATER_LINE.split(_read(name))
    texts: dict[str, str] = {}
    header = dict(_HEADER_LINE.findall(text))
    for include in _listed(header.get("include", "none") if name.startswith("include/") else header["include"]):
        texts.update(_with_includes(include))
    texts[name] = text
    if later:
        includes, remainder = later
        for include in _listed(includes):
            texts.update({part: its for part, its in _with_includes(include).items() if part not in texts})
        texts[f"{name}, from there on"] = remainder
    return texts


def _listed(includes: str) -> list[str]:
    return [f"include/{include.strip()}" for include in includes.split(",") if include.strip() != "none"]


def _read(name: str) -> str:
    return files("runner.store").joinpath("lua").joinpath(f"{name}.lua").read_text(encoding="utf-8")


def _check_names(script: str, arguments: Sequence[str], includes: Sequence[str]) -> None:
    """An include that declares an argument's name would hide the argument, and nobody would notice."""
    declared = {name for include in includes for names in _DECLARATION.findall(include) for name in names.replace(" ", "").split(",")}
    hidden = declared & set(arguments)
    if hidden:
        message = f"script {script}: argument {min(hidden)!r} is hidden by an include that declares the same name; rename one"
        raise ValueError(message)


def _names(script: str, header: str | None) -> tuple[list[str], str | None]:
    """Names of a header line like `now_us, free (slots), held...`: the plain ones, and the one that takes all the rest."""
    arguments: list[str] = []
    rest = None
    for part in re.sub(r"\([^)]*\)", "", header).split(",") if header is not None else ():
        match = _NAME.fullmatch(part.strip())
        if match is None or rest is not None:
            message = f"header of {script}.lua is not readable at {part!r}"
            raise ValueError(message)
        if match[2]:
            rest = match[1]
        else:
            arguments.append(match[1])
    return arguments, rest
