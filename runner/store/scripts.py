"""Loads the scripts of lua/, one file for each state transition: arguments by name, includes pasted in. Sends a script the server has lost."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from itertools import chain
from typing import Any, Protocol

from redis.exceptions import NoScriptError, ResponseError

from runner.connection import is_full
from runner.store.inlining import inlined
from runner.store.lean import lean
from runner.store.lua_text import Text, piece_of, read
from runner.store.nesting import nested
from runner.store.portions import BUCKET_ENTRIES, MOST_PER_CALL

_HEADER_LINE = re.compile(r"^-- (KEYS|ARGV|include|full): (.*)$", re.MULTILINE)
_LATE_INCLUDES = re.compile(r"^-- include from here on: (.*)$", re.MULTILINE)
_UNIT = re.compile(r"\([^)]*\)")
_NAME = re.compile(r"([a-z_]+)(\.\.\.)?")
_WRITE_FIRST = "redis.call('DEL', KEYS[1]) -- no key has the name of the prefix\n"
_INCLUDE = "include/"
_COMMENT = re.compile(r"(?m)^ *--.*\n")
"""A line that is for people: more than a quarter of the text, which the first call of each script sends."""
_NUMBERS = {"MOST_ENTRIES": MOST_PER_CALL, "BUCKET_ENTRIES": BUCKET_ENTRIES}
"""What a script knows of the size of a call; written in the place of the names, as a script can have 200 local variables only."""

OF_WORKERS = (
    *("publish", "calendar", "serve", "heartbeat", "unhold"),
    *("claim", "progress", "finish", "reconcile"),
    *("lead", "refill", "promote", "expire", "retime", "reclaim", "orphans", "trim", "bulk", "rouse", "sweep", "limits", "sample", "roll"),
    *("open_pools", "repair", "advance", "due", "drowse", "fire", "unpause", "take_ends", "adapt", "observe", "warnings"),
    *("exchange", "lease"),
)
"""The scripts that each worker calls, as it signs on, works and leads."""

OF_LEADERS = frozenset({"adapt", "drowse", "fire", "sweep", "unpause"})
"""Those whose changes nobody has asked for just now: in the audit they are acts of the leader, by policy."""

Argument = str | bytes | int


class ThreadRedis(Protocol):
    """What a script needs of a client used from a thread."""

    def execute_command(self, *args: Any, **options: Any) -> Any: ...


class Script:
    """One transition. Call it with its named arguments, and with a sequence for the last if the header writes it `name...`.

    A server that has lost its script cache replies NOSCRIPT without running anything, so it is safe to send the text then.
    A server whose memory is full refuses a script at its first write, so the script has written nothing and runs again as
    `forced`, unless its header says `full: refused`.
    """

    def __init__(self, name: str, source: str, arguments: Sequence[str], *, refused_when_full: bool = False) -> None:
        self.name = name
        self.source = source
        self.sha = hashlib.sha1(source.encode()).hexdigest()  # noqa: S324 - the name Redis gives a script, not for secrecy
        self.arguments = tuple(arguments)
        self.refused_when_full = refused_when_full

    @cached_property
    def forced(self) -> "Script":
        """The same, run also when memory is full: Redis checks memory until a script has written, so this begins with a write that needs none."""
        if self.source.startswith(_WRITE_FIRST):
            return self
        return Script(self.name, _WRITE_FIRST + self.source, self.arguments, refused_when_full=self.refused_when_full)

    def call(self, key: str, rest: Sequence[Argument] = (), /, **named: Argument) -> list[Argument]:
        """The command, for a server that has the script in its cache. Raises TypeError if the names are not those of the header."""
        try:
            words = map(named.__getitem__, self.arguments)
            command = ["EVALSHA", self.sha, "1", key, *words, *rest]
        except KeyError:
            command = []
        if not command or len(named) != len(self.arguments):
            raise TypeError(f"script {self.name} takes {self.arguments}, got {tuple(named)}")
        return command

    def call_again(self, refused: list[Argument], refusal: ResponseError) -> list[Argument] | None:
        """The command to send after one that the server refused before it ran; None if the refusal is final."""
        begin, text, *arguments = refused
        if isinstance(refusal, NoScriptError) and begin == "EVALSHA":
            return ["EVAL", self.source if text == self.sha else self.forced.source, *arguments]
        if self.refused_when_full or not is_full(refusal) or text in (self.forced.sha, self.forced.source):
            return None
        return ["EVALSHA", self.forced.sha, *arguments]

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


@dataclass(frozen=True, slots=True)
class LuaFile:
    """One file of lua/ without its comments, and what its header says.

    Redis runs all of a script's text at each call, down to the definitions of functions that the call does not use. So a script
    includes what it needs only sometimes at a line `-- include from here on:`, after a return for all other calls; `late_text`
    is what follows that line.
    """

    name: str
    text: str
    arguments: tuple[str, ...] = ()
    rest: str | None = None
    includes: tuple[str, ...] = ()
    late_includes: tuple[str, ...] = ()
    late_text: str = ""
    refused_when_full: bool = False


def parse(name: str, text: str) -> LuaFile:
    """Read a header. That of a script has lines for ARGV and include, that of an include may do without. Raises ValueError."""
    text, *late = _LATE_INCLUDES.split(text)
    late_includes, late_text = late or ("none", "")
    header = dict(_HEADER_LINE.findall(text))
    missing = {"ARGV", "include"} - header.keys()
    if missing and not name.startswith(_INCLUDE):
        raise ValueError(f"header of {name}.lua has no line {min(missing)!r}")
    arguments, rest = _arguments(name, header["ARGV"]) if "ARGV" in header else ((), None)
    return LuaFile(
        name=name,
        text=_COMMENT.sub("", text),
        arguments=arguments,
        rest=rest,
        includes=_includes(header.get("include", "none")),
        late_includes=_includes(late_includes),
        late_text=_COMMENT.sub("", late_text),
        refused_when_full=header.get("full", "").startswith("refused"),
    )


def assemble(script: LuaFile, includes: Sequence[LuaFile] = (), late_includes: Sequence[LuaFile] = ()) -> Script:
    """A script with its includes, and a local variable for each argument: those of includes first, in their order. Raises ValueError."""
    arguments = [argument for file in (*includes, *late_includes, script) for argument in file.arguments]
    early = [*(read(file.text) for file in includes), read(script.text)]
    late = [*(read(file.text) for file in late_includes), read(script.late_text)]
    _check_names(script.name, arguments, [*early, *late])
    prelude = ["local prefix = KEYS[1]"]
    prelude += [f"local {argument} = ARGV[{index}]" for index, argument in enumerate(arguments, 1)]
    if script.rest is not None:
        prelude.append(f"local {script.rest}_at = {len(arguments) + 1}")
    first = Text([piece_of(f"{line}\n") for line in prelude])
    # What comes early is little where something comes late: there a function more would cost more than it saves.
    whole = [Text([piece for text in (first, *early) for piece in text.pieces]), *late] if script.late_text else [first, *early]
    source = "\n".join(nested(lean(inlined(whole))))
    for name, number in _NUMBERS.items():
        source = source.replace(name, str(number))
    return Script(script.name, source, arguments, refused_when_full=script.refused_when_full)


@cache
def load(name: str) -> Script:
    """The script of lua/<name>.lua, put together at the first call: a producer needs few of them."""
    script = _file(name)
    includes = _in_order(script.includes)
    return assemble(script, includes, [file for file in _in_order(script.late_includes) if file not in includes])


def script_names() -> list[str]:
    """Every transition there is."""
    return sorted(name for name in _TEXTS if not name.startswith(_INCLUDE))


def load_scripts() -> None:
    """Put together those of every worker, which takes as long as to import the packages that this library needs.

    It must not do that between two jobs. Of the others each takes some milliseconds, once, where it is called first.
    """
    for name in OF_WORKERS:
        load(name)


def _in_order(names: Iterable[str]) -> list[LuaFile]:
    """The files of these includes, each once, and each after those that it includes itself."""
    found: dict[str, LuaFile] = {}
    for name in names:
        for each in _after_its_includes(name):
            found.setdefault(each.name, each)
    return list(found.values())


@cache
def _after_its_includes(name: str) -> tuple[LuaFile, ...]:
    """Kept: every script includes most of the same files, through many others."""
    file = _file(name)
    return (*_in_order(file.includes), file)


@cache
def _file(name: str) -> LuaFile:
    return parse(name, _read(name))


def _texts() -> dict[str, str]:
    """Every file by its name. Read when this module is: whatever is installed while a process runs, its scripts are of its version."""
    folder = files("runner.store").joinpath("lua")
    folders = {"": folder, _INCLUDE: folder.joinpath(_INCLUDE.rstrip("/"))}
    return {
        within + entry.name.removesuffix(".lua"): entry.read_text(encoding="utf-8")
        for within, each in folders.items()
        for entry in each.iterdir()
        if entry.name.endswith(".lua")
    }


_TEXTS = _texts()
_read = _TEXTS.__getitem__


def _includes(line: str) -> tuple[str, ...]:
    return tuple(f"{_INCLUDE}{name.strip()}" for name in line.split(",") if name.strip() != "none")


def _arguments(file: str, line: str) -> tuple[tuple[str, ...], str | None]:
    """Names of a header line like `now_us, free (slots), held...`: the plain ones, and the one that takes all the rest."""
    arguments: list[str] = []
    rest = None
    for part in _UNIT.sub("", line).split(",") if line != "none" else ():
        match = _NAME.fullmatch(part.strip())
        if match is None or rest is not None:
            raise ValueError(f"header of {file}.lua is not readable at {part!r}")
        if match[2]:
            rest = match[1]
        else:
            arguments.append(match[1])
    return tuple(arguments), rest


def _check_names(script: str, arguments: Iterable[str], texts: Iterable[Text]) -> None:
    """A declaration with the name of an argument would hide the argument, without an error from Lua."""
    hidden = set(arguments).intersection(chain.from_iterable(text.declared for text in texts))
    if hidden:
        raise ValueError(f"script {script}: argument {min(hidden)!r} is hidden by an include that declares the same name; rename one")
