"""Recovery: how long it took until everything was well again after an injected fault, held against the bound its test states.

A test of a fault is marked `@pytest.mark.fault("F01", bound_s=15)`: the case of docs/explanation/reliability.md, and the longest recovery.
It calls `recovery.begins()` when the fault ends and `recovery.ends()` when all is well, as often as it likes; where several
recoveries overlap, each has a `Watch` of its own, given to `recovery.took`.
"""

import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.starvation import Starvation

CASE = re.compile(r"[FX]\d\d")
MEASURED = pytest.StashKey["Recovery"]()


@dataclass(frozen=True)
class Fault:
    """What the marker says: a case, and the longest recovery; None where nothing has to recover."""

    case: str
    bound_s: float | None = None


class Watch:
    """Runs from now on until it is read."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()
        self._starvation = Starvation()

    def read(self) -> tuple[float, float]:
        """The seconds that passed, and how many of them a process of the test waited for a CPU."""
        return time.monotonic() - self._began_s, self._starvation.seconds


@dataclass
class Recovery:
    """The recoveries of one test, in seconds."""

    bound_s: float | None
    seconds: list[float] = field(default_factory=list)
    _watch: Watch | None = None

    def begins(self) -> None:
        """The fault is over: the clock runs."""
        self._watch = Watch()

    def ends(self) -> float:
        """All is well again; fails if that took longer than the bound, the wait for a CPU apart."""
        assert self._watch is not None, "recovery.begins() was not called"
        watch, self._watch = self._watch, None
        return self.took(watch)

    def took(self, watch: Watch) -> float:
        """The same for a recovery with a watch of its own."""
        took_s, starved_s = watch.read()
        self.seconds.append(took_s)
        assert self.bound_s is None or took_s - starved_s <= self.bound_s, (
            f"recovered after {took_s:.2f} s, {starved_s:.2f} s of it without a CPU; the bound is {self.bound_s:g} s"
        )
        return took_s


def faults_of(item: pytest.Item) -> list[Fault]:
    """What the markers of a test say. Raises UsageError if one is malformed."""
    found = []
    for marker in item.iter_markers("fault"):
        try:
            fault = Fault(*marker.args, **marker.kwargs)
        except TypeError as error:
            raise pytest.UsageError(f'{item.nodeid}: write fault("F01", bound_s=15): {error}') from error
        if not CASE.fullmatch(fault.case):
            raise pytest.UsageError(f"{item.nodeid}: {fault.case!r} is no case like F01 or X01")
        found.append(fault)
    return sorted(found, key=lambda fault: fault.case)


def measured_by(item: pytest.Item) -> Iterator[Recovery]:
    """The body of the fixture: one Recovery for the test, with the strictest bound of its markers."""
    bounds_s = [fault.bound_s for fault in faults_of(item) if fault.bound_s is not None]
    recovery = Recovery(min(bounds_s, default=None))
    item.stash[MEASURED] = recovery
    yield recovery


def unmeasured(item: pytest.Item) -> list[str]:
    """Cases whose bound a test states, though nothing in it is measured."""
    recovery = item.stash.get(MEASURED, None)
    measured = recovery is not None and bool(recovery.seconds)
    return [fault.case for fault in faults_of(item) if fault.bound_s is not None and not measured]


def append_report(path: Path, item: pytest.Item, *, passed: bool) -> None:
    """A JSON line for each case of a test and each recovery in it. One write: several processes may append to the same file."""
    recovery = item.stash.get(MEASURED, None)
    lines = [
        json.dumps(
            {
                "case": fault.case,
                "test": item.nodeid.partition("[")[0],
                "server": server_of(item),
                "seconds": seconds,
                "bound_s": fault.bound_s,
                "passed": passed,
            }
        )
        + "\n"
        for fault in faults_of(item)
        for seconds in (recovery.seconds if recovery is not None and recovery.seconds else [None])
    ]
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, "".join(lines).encode())
    finally:
        os.close(descriptor)


def server_of(item: pytest.Item) -> str:
    """The kind of server a test ran on, as its id tells."""
    parameters = getattr(item, "callspec", None)
    values = {str(value) for name, value in parameters.params.items() if name.endswith("server")} if parameters is not None else set()
    return ", ".join("external" if "://" in value else value for value in sorted(values))
