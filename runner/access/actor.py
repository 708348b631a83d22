"""Actor: whose act a change is, for the audit. It travels beside the calls that lead to the change, so no call has to pass it on."""

import getpass
import json
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache

_LONGEST_TEXT = 200


@dataclass(frozen=True, slots=True)
class Actor:
    """`by`: "key 4f6a… billing", or "cli:ann@web1". `address` and `request`: of an act over HTTP, else empty.

    door: the way by which it came: "cli", "http", "python", or "leader" for what the leader does by policy.
    """

    by: str
    address: str = ""
    request: str = ""
    door: str = "python"

    def act(self) -> None:
        """What is changed from here on in this task is the act of this one."""
        _current.set(self)

    def to_json(self) -> str:
        """As the scripts write it into the audit: in ASCII, and so without control characters."""
        return json.dumps([text[:_LONGEST_TEXT] for text in (self.by, self.address, self.request, self.door)], separators=(",", ":"))


_current: ContextVar[Actor | None] = ContextVar("runner.actor", default=None)


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """What is changed inside is the act of `actor`."""
    token = _current.set(actor)
    try:
        yield
    finally:
        _current.reset(token)


def named_actor() -> Actor | None:
    """Whose act it was said to be, what is done here. None: nobody has said, as in a program that does its own work."""
    return _current.get()


def actor_here() -> Actor:
    """Whose act a change is that is made here: by default that of this process's user."""
    return _current.get() or this_process()


@cache
def leading() -> Actor:
    """The leader of a queue, for what it does by policy and nobody has asked for."""
    return Actor(f"leader:{this_process().by}", door="leader")


@cache
def this_process() -> Actor:
    """The user of the operating system and the machine."""
    return Actor(f"{_user()}@{platform.node()}")


def _user() -> str:
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # in a container a user may have no name
        return "unnamed user"
