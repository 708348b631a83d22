"""What the catalog holds of tasks, as values: what a process publishes, what became of it, and what producers read. Pure functions over bytes."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from runner.clock import MICROSECONDS
from runner.jobs import TaskSpec, TaskStatus
from runner.limits import Limit, limit_of
from runner.names import DEFAULT_POOL, base_pool
from runner.store import scripts
from runner.store.text import decoded

_LEAST_FORMAT = "format:"
"""No limit has a name with a colon."""
_FIELDS_SINCE = {"unique": 3, "pool": 3}
"""Fields of a spec that a producer must know, by the format that brought them. Who knows of no pools would send a job of one to any worker: from the
default pool to that of child processes beside it workers move it themselves."""
_ENTRY = re.compile(rb"\d+ [a-z]+ \d+ (?P<limits>\S*)\n(?P<body>.*)", re.DOTALL)


class Role(StrEnum):
    """Who publishes: what a worker declares stands against what producers do, because its workers run the jobs."""

    worker = "worker"
    producer = "producer"


class Published(NamedTuple):
    """What became of a publication.

    since_us: the instant of this process's first publication. changed: limits whose numbers changed. outdone: declarations that
    another one stands against, each as what it is ("task" or "limit"), its name, and by what that one wins ("worker", "revision" or "start").
    """

    since_us: int
    changed: list[str]
    outdone: list[tuple[str, str, str]]


class Entry(NamedTuple):
    """A task in the catalog. `body` is the JSON of its spec, None if the entry was damaged by hand; `limits` the names of its limits.

    `least_format` is the oldest format whose code can submit it by name.
    """

    body: bytes | None
    limits: tuple[str, ...] = ()
    least_format: int = 0


class Known(NamedTuple):
    """What a producer has learnt of some tasks, from one state of the catalog.

    tasks: entry by name, None for one that is not published; of the first of those asked for, as many as one call reads. limits: entry (JSON) by name, of those that the tasks use and that there
    are. others: the names of all tasks, if one was not published. `tasks` is None if the caller knew all that at this version.
    """

    version: str
    tasks: dict[str, Entry | None] | None
    limits: dict[str, bytes]
    others: list[str]


def spec_words(name: str, body: str) -> list[scripts.Argument]:
    """A task as publish.lua takes it. One that older code cannot submit has a limit that no catalog has: so older code refuses it, naming that."""
    spec = json.loads(body)
    needed = [field for field in _FIELDS_SINCE if spec.get(field) and (field != "pool" or base_pool(spec[field]) != DEFAULT_POOL)]
    since = [_FIELDS_SINCE[field] for field in needed]
    return [name, ",".join([*spec.get("limits", ()), *([f"{_LEAST_FORMAT}{max(since)}"] if since else ())]), body]


def limit_words(limit: Limit, revision: int) -> list[scripts.Argument]:
    """A limit as publish.lua takes it. One without a revision of its own has that of its app."""
    return [limit.name, limit.to_json(), limit.revision or revision]


def app_digest(tasks: Mapping[str, str], limits: Iterable[Limit], role: Role, revision: int) -> str:
    """The digest of all that a process declares."""
    return digest_of(
        [*(text for task in tasks.items() for text in task), *(limit.to_json() for limit in limits), role.value, str(revision)]
    )


def digest_of(texts: Iterable[str]) -> str:
    """16 hexadecimal digits for all of these texts, in their order."""
    return hashlib.blake2b("\0".join(texts).encode(), digest_size=8).hexdigest()


def published(parts: Sequence[list[Any]]) -> Published:
    """The replies of publish.lua for the parts of one publication."""
    words = [decoded(word) for part in parts for word in part[2:]]
    outdone = list(zip(words[::3], words[1::3], words[2::3], strict=True))
    return Published(int(parts[0][0]), [decoded(name) for part in parts for name in part[1]], outdone)


def entry_of(text: bytes | None) -> Entry | None:
    """An entry of the catalog."""
    if text is None:
        return None
    match = _ENTRY.fullmatch(text)
    if match is None:
        return Entry(None)
    names = decoded(match["limits"]).split(",") if match["limits"] else []
    least = max([int(name.removeprefix(_LEAST_FORMAT)) for name in names if name.startswith(_LEAST_FORMAT)], default=0)
    return Entry(match["body"], tuple(name for name in names if not name.startswith(_LEAST_FORMAT)), least)


def known(names: Sequence[str], reply: list[Any]) -> Known:
    """The reply of known.lua about these tasks."""
    version, *rest = reply
    if not rest:
        return Known(decoded(version), None, {}, [])
    others, entries, limits = rest
    tasks = {name: entry_of(text) for name, text in zip(names, entries, strict=False)}
    by_name = {decoded(name): text for name, text in zip(limits[::2], limits[1::2], strict=True)}
    return Known(decoded(version), tasks, by_name, sorted(decoded(name) for name in others))


def task_status(name: str, row: Sequence[Any]) -> TaskStatus:
    """One row of tasks.lua."""
    text, served, until, held = row
    spec = fault = None
    try:
        spec = TaskSpec.from_json(spec_fields(entry_of(text) or Entry(None)))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        fault = f"its entry cannot be read ({type(error).__name__}: {str(error)[:200]})"
    return TaskStatus(name, spec, bool(served), int(until) / MICROSECONDS if until else None, held, fault)


def is_limit(entry: bytes) -> bool:
    """Whether the entry of a limit can be read."""
    try:
        limit_of(json.loads(entry)["code"])
    except (KeyError, TypeError, ValueError):
        return False
    return True


def spec_fields(entry: Entry) -> Mapping[str, Any]:
    """The fields of a spec. Raises ValueError if they cannot be read."""
    fields = json.loads(entry.body or b"null")
    if not isinstance(fields, dict):
        raise ValueError("its entry is no JSON object")  # noqa: TRY004 - of the value, not of a call
    return fields
