"""What runs in a child process of a worker: one plain function after the other, each as the worker would run it in a thread.

It ends with its worker, however that ends: the kernel kills it then (Linux), or a thread that waits for the end of a pipe ends it.
"""

import asyncio
import ctypes
import logging
import os
import runpy
import signal
import sys
import threading
from collections.abc import Callable
from contextvars import copy_context
from inspect import isawaitable
from typing import Any

from runner.client import Runner, configure, load_app
from runner.clock import MICROSECONDS, monotonic_s, wall_us
from runner.errors import InvalidResult, StartFailed
from runner.foreign import kind_of, text_of
from runner.jobs import (
    Attempt,
    Ending,
    JobLogFilter,
    JsonFormatter,
    PlainFormatter,
    StartedJob,
    Ties,
    Verdict,
    call_in_process,
    enter,
    verdict,
)
from runner.plain_text import escape_logs
from runner.resident import resident_bytes
from runner.telemetry import recorder_here
from runner.traces import trace_of
from runner.worker.app_address import MAIN
from runner.worker.child_frames import Frames, frames_of
from runner.worker.frames import Frame, read_frame_from, write_all

_PR_SET_PDEATHSIG = 1
_REPORT_S = 0.1
RUN_AS = "__runner_child__"
"""The name of a program's own module in a child: what stands under `if __name__ == "__main__"` is not run."""


def run(descriptor: int, life: int, worker: int) -> None:
    """Until the worker sends no more. `life`: a pipe whose other end only the worker has; `worker`: its process id."""
    end_with(worker, life)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    start = read_frame_from(descriptor).head
    sys.path[:] = start["path"]
    app = _app_at(**start["app"])
    configure(app, **start["settings"])
    _log_as(start["log"])
    try:
        with frames_of(descriptor, app) as frames:
            write_all(descriptor, Frame({"ready": os.getpid()}).encoded())
            _serve(app, descriptor, frames)
    except StartFailed as error:
        write_all(descriptor, Frame({"failed": str(error)}).encoded())


def _serve(app: Runner, descriptor: int, frames: Frames) -> None:
    while True:
        try:
            frame = frames.next()
        except EOFError:
            return
        answer = copy_context().run(_in_trace, app, _Reporting(descriptor), frame)
        answer.head["resident"] = resident_bytes() or 0
        write_all(descriptor, answer.encoded())


def end_with(worker: int, life: int) -> None:
    """Have this process killed when its worker ends: also while code in C holds the interpreter, where the system can do that."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != worker:  # it had ended before
        os._exit(1)
    threading.Thread(target=_leave_at_end_of, args=[life], name="runner-life", daemon=True).start()


def _leave_at_end_of(life: int) -> None:
    while os.read(life, 64):
        pass
    os._exit(1)


def _app_at(module: str, attribute: str, file: str) -> Runner:
    if module != MAIN:
        return load_app(f"{module}:{attribute}")
    app = runpy.run_path(file, run_name=RUN_AS)[attribute]
    assert isinstance(app, Runner), "the worker has found it there"
    return app


def _log_as(said: dict[str, Any] | None) -> None:
    """Log as the worker does, unless the app has said otherwise here too. A line is one write, so lines of several processes stay whole."""
    if said is None:
        return
    root = logging.getLogger()
    if not root.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonFormatter() if said["is_json"] else PlainFormatter())
        handler.addFilter(JobLogFilter())
        root.addHandler(handler)
        root.setLevel(said["level"])
    logging.getLogger("runner").setLevel(said["library"])
    for each in root.handlers:
        escape_logs(each)


class _Reporting:
    """Tells the worker how far a job is, now and then: what was said last goes along with the outcome."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._told_s = float("-inf")

    def __call__(self, attempt: Attempt) -> None:
        attempt.take_progress()
        if monotonic_s() - self._told_s > _REPORT_S:
            self._told_s = monotonic_s()
            write_all(self._descriptor, Frame({"progress": attempt.progress}).encoded())


def _in_trace(app: Runner, report: Callable[[Attempt], None], frame: Frame) -> Frame:
    """Run one job; what it records is of the trace of its attempt in the worker, if spans are recorded in both processes."""
    carrier, recorder = frame.head.get("trace"), recorder_here()
    if not carrier or recorder is None:
        return _answer(app, report, frame)
    with recorder.continued(carrier):
        return _answer(app, report, frame)


def _answer(app: Runner, report: Callable[[Attempt], None], frame: Frame) -> Frame:
    """Run one job: its result, or what its error comes to."""
    told = frame.head["job"]
    job = StartedJob(**{**told, "entry": b"", "args": frame.body, "metadata": told["metadata"].encode()})
    attempt = enter(job, app.queue, Ties(report))
    task = attempt.task = app.tasks[job.task].definition
    try:
        value = call_in_process(attempt, task, task.arguments.decode(job.args))
        if isawaitable(value):
            value = asyncio.run(_awaited(value))
    except BaseException as error:  # noqa: BLE001 - sys.exit() of a handler is a failure like any other
        decided = verdict(error, task.policy.retry.within(job.deadline_us > 0), job.failures, wall_us() / MICROSECONDS)
        return _failed(attempt, decided, trace_of(error))
    try:
        return Frame(_said(attempt), task.arguments.encode_result(value))
    except BaseException as error:  # noqa: BLE001 - serializers of models are the handler's code
        text = text_of(error)
        if not isinstance(error, InvalidResult):
            text = f"task {job.task!r}: its result could not be made JSON: {kind_of(error)}: {text}"
        return _failed(attempt, Verdict(Ending.failed, InvalidResult(text)), "")


async def _awaited(value: Any) -> Any:
    """A plain wrapper of an async function returns a coroutine."""
    return await value


def _failed(attempt: Attempt, decided: Verdict, trace: str) -> Frame:
    """The exception's types are known here alone, so what it comes to is decided here."""
    error = {
        "type": kind_of(decided.error),
        "text": text_of(decided.error),
        "traceback": trace,
        "ending": decided.ending,
        "delay_s": decided.delay_s,
        "throttles": [[limit if isinstance(limit, str) else None, list(word)] for limit, word in decided.throttles],
    }
    return Frame({**_said(attempt), "error": error})


def _said(attempt: Attempt) -> dict[str, Any]:
    return {"settled": attempt.settled, "progress": attempt.progress, "counts": attempt.counts}


if __name__ == "__main__":
    run(*map(int, sys.argv[1:4]))
