"""Runs one peer in a process of its own, orders and answers a JSON line each: `python driver.py with_arq '{"role": "work", "url": …}'`.

It runs under the peer's interpreter, so it imports the standard library alone. The peer's module, beside this file, has a class
`Peer(url, concurrency, rate, handler)` with `connect`, `submit`, `result`, `work` and, where it can, `submit_many`; coroutines or plain functions.
"""

import asyncio
import importlib
import inspect
import json
import logging
import os
import sys
import threading
import time
from typing import Any, TextIO

try:
    run = importlib.import_module("uvloop").run
except ImportError:
    run = asyncio.run

NANOSECONDS = 1_000_000_000


class Handler:
    """The job that is measured: notes its number and instant, and returns the number. The log is in order of starts."""

    def __init__(self) -> None:
        self.log: list[tuple[int, int]] = []
        self.target = sys.maxsize
        self.reached = threading.Event()

    def note(self, number: int) -> int:
        self.log.append((number, time.monotonic_ns()))
        if len(self.log) >= self.target:
            self.reached.set()
        return number

    def run_until(self, starts: int, within_s: float) -> bool:
        """Whether so many starts were made in that time."""
        self.reached.clear()
        self.target = starts
        return len(self.log) >= starts or self.reached.wait(within_s)


async def _finished(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


class _Stopwatch:
    """Runs from when it is made: on the clock, and by the processor time of this process."""

    def __init__(self) -> None:
        self._begun_ns, self._cpu_s = time.monotonic_ns(), time.process_time()

    def read(self) -> dict[str, Any]:
        return {"seconds": (time.monotonic_ns() - self._begun_ns) / NANOSECONDS, "cpu_s": time.process_time() - self._cpu_s}


class Submitter:
    """Carries out orders to submit; remembers some handles, to ask for their results."""

    def __init__(self, peer: Any) -> None:
        self._peer = peer
        self._some: tuple[Any, ...] = ()

    async def carry_out(self, order: dict[str, Any]) -> dict[str, Any]:
        numbers = range(order["begin"], order["begin"] + order["jobs"])
        action = {
            "submit": self._one_by_one,
            "together": self._together,
            "bulk": self._in_bulk,
            "paced": self._paced,
            "results": self._results,
        }[order["do"]]
        return await action(numbers, order)

    async def _one_by_one(self, numbers: range, _: dict[str, Any]) -> dict[str, Any]:
        begun = _Stopwatch()
        handles = [await _finished(self._peer.submit(number)) for number in numbers]
        return self._timed(begun, handles)

    async def _together(self, numbers: range, order: dict[str, Any]) -> dict[str, Any]:
        """The same call from many coroutines, each one after the other."""
        if not inspect.iscoroutinefunction(self._peer.submit):
            return {"cannot": "together"}
        begun, left, handles = _Stopwatch(), iter(numbers), []

        async def submit_some() -> None:
            handles.extend([await self._peer.submit(number) for number in left])

        await asyncio.gather(*(submit_some() for _ in range(order["coroutines"])))
        return self._timed(begun, handles)

    async def _in_bulk(self, numbers: range, order: dict[str, Any]) -> dict[str, Any]:
        if not hasattr(self._peer, "submit_many"):
            return {"cannot": "bulk"}
        begun, handles = _Stopwatch(), []
        for begin in range(0, len(numbers), order["batch"]):
            handles += await _finished(self._peer.submit_many(list(numbers[begin : begin + order["batch"]])))
        return self._timed(begun, handles)

    def _timed(self, begun: "_Stopwatch", handles: list[Any]) -> dict[str, Any]:
        answer = begun.read()
        self._some = (handles[len(handles) // 2], handles[-1])
        return answer

    async def _paced(self, numbers: range, order: dict[str, Any]) -> dict[str, Any]:
        """The instants at which each call of submit began."""
        instants = []
        for number, pause_s in zip(numbers, order["pauses_s"], strict=True):
            await asyncio.sleep(pause_s)
            instants.append((number, time.monotonic_ns()))
            await _finished(self._peer.submit(number))
        return {"submitted": instants}

    async def _results(self, _: range, order: dict[str, Any]) -> dict[str, Any]:
        """What the peer's own interface gives for a middle job and the last, which may be on its way still."""
        results: list[Any] = []
        for handle in self._some:
            async with asyncio.timeout(order["within_s"]):
                results.append(await _finished(self._peer.result(handle)))
        return {"results": results}


async def _submit(peer: Any, answers: TextIO) -> None:
    await _finished(peer.connect())
    _say(answers, {"ready": True})
    submitter = Submitter(peer)
    while line := await asyncio.to_thread(sys.stdin.readline):
        try:
            _say(answers, await submitter.carry_out(json.loads(line)))
        except Exception as error:  # noqa: BLE001 - whatever a peer raises is its row in the table
            _say(answers, {"failed": f"{type(error).__name__}: {error}"})
    os._exit(0)


def _report(handler: Handler, answers: TextIO) -> None:
    """Answer orders while the peer works: how far it has come, at what cost, and the log of starts. Ends the process with its input."""
    cpu_s = time.process_time()
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "until":
            reached = handler.run_until(order["starts"], order["within_s"])
            _say(answers, {"reached": reached, "starts": len(handler.log), "cpu_s": time.process_time() - cpu_s})
        else:
            _say(answers, {"log": handler.log[order["begin"] :]})
    os._exit(0)


async def _work(peer: Any, handler: Handler, answers: TextIO) -> None:
    await _finished(peer.connect())
    _say(answers, {"ready": True})
    if not await asyncio.to_thread(sys.stdin.readline):
        os._exit(0)
    threading.Thread(target=_report, args=(handler, answers), daemon=True).start()
    await _finished(peer.work())
    raise RuntimeError("the worker ended by itself")


def _say(answers: TextIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def main(module: str, given: dict[str, Any]) -> None:
    # Answers go to a descriptor of their own: what a peer prints must not come between.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    logging.basicConfig(level=logging.WARNING)
    handler = Handler()

    async def start() -> None:
        peer = importlib.import_module(module).Peer(given["url"], given["concurrency"], given["rate"], handler.note)
        await (_work(peer, handler, answers) if given["role"] == "work" else _submit(peer, answers))

    run(start())


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
