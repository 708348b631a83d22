"""What a forked child forgets: the connections, threads, locks and handlers of its parent are not its own."""

import os
import signal
import threading
from typing import Protocol
from weakref import WeakSet


class Forgetful(Protocol):
    """Holds something that belongs to one process."""

    def forget(self) -> None:
        """Called in a forked child, before anything else runs there: begin anew, and keep the old untouched."""


_known: WeakSet[Forgetful] = WeakSet()
_kept: list[object] = []


def forget_after_fork(holder: Forgetful) -> None:
    """Have `holder.forget()` called in each forked child, as long as the holder is alive."""
    _known.add(holder)


def keep(*parents: object) -> None:
    """Keep in a child what its parent uses: to destroy a connection could send something on the parent's socket."""
    _kept.append(parents)


def _before() -> None:
    """A signal that reached the child before it has forgotten the handlers of its parent would be lost: it waits."""
    _forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, _WAITING)


def _after() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _forking.mask)


def _after_in_child() -> None:
    for holder in list(_known):
        holder.forget()
    _after()


if hasattr(os, "register_at_fork"):
    _forking = threading.local()
    _WAITING = (signal.SIGTERM, signal.SIGINT)
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after_in_child)
