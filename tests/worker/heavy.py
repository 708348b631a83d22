"""An app with tasks in child processes, in a module of its own as children import it, and what its jobs have noted."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runner import Runner
from runner.jobs import JobStatus
from tests.eventually import PATIENCE_S

APP = """
import os, re, signal, sys, time
from pathlib import Path
from typing import Annotated
from runner import Children, Concurrency, Depends, GiveUp, RateLimited, Runner, TokenBucket, current_job, injected
SLOTS = Concurrency("slots", 10)
CALLS = TokenBucket("calls", rate="1/min", burst=100)
jobs = Runner({queue!r}, children=Children({children}))

def note() -> None:
    descriptor = os.open(Path(__file__).with_suffix(".pids"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, b"%d\\n" % os.getpid())
    os.close(descriptor)

class Odd(Exception):
    def __init__(self, one, two):
        super().__init__("odd")

@jobs.task(executor="process", limits=[SLOTS], retries=1)
def work(how: str = "pid", seconds: float = 0.0) -> dict[str, int | str]:
    note()
    time.sleep(seconds)
    job = current_job()
    while how == "gate" and not Path(__file__).with_suffix(".open").exists():
        time.sleep(0.01)
    if how == "settle":
        job.settle("slots", 1)
    if how == "odd":
        raise Odd(1, 2)
    if how == "give up":
        raise GiveUp("no use")
    if how == "wait":
        raise RateLimited("slots", retry_after=60)
    if how == "exit":
        sys.exit(4)
    if how == "die":
        os._exit(3)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "wrong":
        return 3
    return {{"pid": os.getpid(), "id": job.id, "attempt": job.attempt, "session": os.getsid(0)}}

@jobs.task(executor="process", limits=[CALLS])
def tell(left: str) -> int | None:
    return current_job().observe("calls", {{"x-ratelimit-remaining": left, "x-ratelimit-reset": "60"}})

def opened():
    yield os.getpid()
    note()

async def opened_on_a_loop() -> int:
    return 1

async def marked(job, call_next):
    return {{**await call_next(), "marked": job.id}}

@jobs.task(executor="process", middleware=[marked])
def surrounded(where: Annotated[int, Depends(opened)] = injected) -> dict[str, int | str]:
    current_job().progress(3, 4, "nearly")
    return {{"made": where, "ran": os.getpid()}}

@jobs.task(executor="process", timeout=1.0, retries=0)
def hold() -> bool:
    note()
    return bool(re.match("(a|aa)+$", "a" * 60 + "b"))

@jobs.task(executor="process", timeout=None)
def hold_on() -> bool:
    note()
    return bool(re.match("(a|aa)+$", "a" * 60 + "b"))

@jobs.task
async def quick() -> int:
    return os.getpid()
"""

Serve = Callable[..., Any]


class Heavy:
    """An app that stands in a module of its own, and the processes that its jobs ran in."""

    def __init__(self, runner: Runner, file: Path) -> None:
        self.runner = runner
        self.file = file
        self._pids = file.with_suffix(".pids")

    @property
    def pids(self) -> list[int]:
        return [int(line) for line in self._pids.read_text().split("\n") if line] if self._pids.exists() else []

    def open_gate(self) -> None:
        """Let jobs end that were told to wait for it."""
        self.file.with_suffix(".open").touch()

    async def ended(self, task: str, **arguments: Any) -> JobStatus:
        handle = await self.runner.tasks[task].submit(**arguments)
        return await handle.wait(PATIENCE_S)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return bool(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z")
