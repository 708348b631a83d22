"""Loads lua/*.lua: one file is one state transition. Names of KEYS and ARGV come from its header; includes are pasted in; NOSCRIPT is healed."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Protocol

from redis.exceptions import NoScriptError

_HEADER_LINE = re.compile(r"^-- (KEYS|ARGV|include): (.*)$", re.MULTILINE)
_NAME = re.compile(r"([a-z_]+)(\.\.\.)?")
_DECLARATION = re.compile(r"^local (?:function )?([\w, ]+)", re.MULTILINE)

Argument = str | bytes | int


class AsyncRedis(Protocol):
    """What a script needs of an asyncio client."""

    async def execute_command(self, *args: Any, **options: Any) -> Any: ...


class ThreadRedis(Protocol):
    """What a script needs of a client used from a thread."""

    def execute_command(self, *args: Any, **options: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class Script:
    """One transition. Call it with its named arguments; the last may be a sequence if the header names it `name...`.

    A server that has lost its script cache answers NOSCRIPT without having run anything, so sending the text again is safe.
    """

    name: str
    source: str
    sha: str
    arguments: tuple[str, ...]
    rest: str | None

    def encode(self, key: str, rest: Sequence[Argument] = (), /, **named: Argument) -> list[Argument]:
        """The command after EVAL or EVALSHA's first argument. Raises TypeError if the names are not those of the header."""
        if named.keys() != set(self.arguments):
            message = f"script {self.name} takes {self.arguments}, got {tuple(named)}"
            raise TypeError(message)
        return [1, key, *[named[name] for name in self.arguments], *rest]

    async def run(self, redis: AsyncRedis, key: str, rest: Sequence[Argument] = (), /, **named: Argument) -> Any:
        command = self.encode(key, rest, **named)
        try:
            return await redis.execute_command("EVALSHA", self.sha, *command)
        except NoScriptError:
            return await redis.execute_command("EVAL", self.source, *command)

    def run_in_thread(self, redis: ThreadRedis, key: str, rest: Sequence[Argument] = (), /, **named: Argument) -> Any:
        command = self.encode(key, rest, **named)
        try:
            return redis.execute_command("EVALSHA", self.sha, *command)
        except NoScriptError:
            return redis.execute_command("EVAL", self.source, *command)


@cache
def load(name: str) -> Script:
    """The script of lua/<name>.lua, with its includes and with a local variable for each name in its header."""
    text = _read(name)
    header = dict(_HEADER_LINE.findall(text))
    arguments, rest = _names(name, header["ARGV"])
    prelude = ["local prefix = KEYS[1]"]
    prelude += [f"local {argument} = ARGV[{index}]" for index, argument in enumerate(arguments, 1)]
    if rest is not None:
        prelude.append(f"local {rest}_at = {len(arguments) + 1}")
    includes = [_read(part.strip()) for part in header["include"].split(",") if part.strip() != "none"]
    _check_names(name, arguments, includes)
    source = "\n".join([*prelude, *includes, text])
    sha = hashlib.sha1(source.encode()).hexdigest()  # noqa: S324 - the name Redis gives a script
    return Script(name, source, sha, tuple(arguments), rest)


def script_names() -> list[str]:
    """Every transition there is: the names of the files that are not includes."""
    names = [entry.name.removesuffix(".lua") for entry in files("runner").joinpath("lua").iterdir() if entry.name.endswith(".lua")]
    return sorted(name for name in names if not name.startswith("_"))


def _read(name: str) -> str:
    return files("runner").joinpath("lua").joinpath(f"{name}.lua").read_text(encoding="utf-8")


def _check_names(script: str, arguments: Sequence[str], includes: Sequence[str]) -> None:
    """An include that declares an argument's name would hide the argument, and nobody would notice."""
    declared = {name for include in includes for names in _DECLARATION.findall(include) for name in names.replace(" ", "").split(",")}
    hidden = declared & set(arguments)
    if hidden:
        message = f"script {script}: argument {min(hidden)!r} is hidden by an include that declares the same name; rename one"
        raise ValueError(message)


def _names(script: str, header: str) -> tuple[list[str], str | None]:
    """Names of a header line like `now_us, free (slots), held...`: the plain ones, and the one that takes all the rest."""
    arguments, rest = [], None
    for part in re.sub(r"\([^)]*\)", "", header).split(","):
        match = _NAME.fullmatch(part.strip())
        if match is None or rest is not None:
            message = f"header of {script}.lua is not readable at {part!r}"
            raise ValueError(message)
        if match[2]:
            rest = match[1]
        else:
            arguments.append(match[1])
    return arguments, rest
