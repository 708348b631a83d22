"""Measures all peers in turns, ours among them, each time on a fresh server; a peer that fails is told and left, the run goes on."""

import os
import subprocess
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

from bench.environment import Environment
from bench.interpreters import version_of
from bench.peers.catalogue import OURS, PROGRAMS, Peer
from bench.peers.environments import NoInterpreter, interpreter
from bench.peers.measure import Rate, Sizes, drained, throttled
from bench.peers.process import PeerFailed
from bench.results import Document, spreads
from runner.clock import monotonic_s
from tests.servers import Server

_RATE = 100
_WINDOW = Rate("window", _RATE, 0)
_BUCKET = Rate("bucket", _RATE, 10)
_OUR_WINDOW = f"{OURS.name}, window"
Program = Sequence[str | Path]
Measure = Callable[[str], Coroutine[Any, Any, dict[str, float]]]


@dataclass(slots=True)
class Row:
    """What is known of one peer: figures by name, a value a repetition, and the machine's load before each."""

    figures: dict[str, list[float]] = field(default_factory=dict)
    load: list[float] = field(default_factory=list)

    def add(self, figures: dict[str, float]) -> None:
        for name, value in figures.items():
            self.figures.setdefault(name, []).append(value)


class Run:
    """One run over these peers."""

    def __init__(self, kind: str, sizes: Sizes, repeat: int) -> None:
        self._kind = kind
        self._sizes = sizes
        self._repeat = repeat
        self._rows: dict[str, Row] = {}
        self._failures: list[str] = []
        self._begun_s = monotonic_s()

    def measure(self, peers: Sequence[Peer]) -> Document:
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        with self._server() as server:
            environment = Environment.here(server.url)
        programs = self._programs(peers)
        there = [peer for peer in peers if peer.name in programs]
        for turn in range(1, self._repeat + 1):
            # Ours is measured at two points of each turn, so that what the machine does meanwhile falls on it as on the others.
            middle = len(there) // 2
            for peer in (OURS, *there[:middle], OURS, *there[middle:]):
                sizes = replace(self._sizes, jobs=int(self._sizes.jobs * peer.share))
                self._one(peer.name, turn, partial(drained, program=programs[peer.name], sizes=sizes))
            for name, peer, rate in self._limiters(there):
                self._one(name, turn, partial(throttled, program=programs[peer.name], sizes=self._sizes, rate=rate))
        return {
            "scenario": "peers",
            "description": "the same work by this runner and by its peers",
            "at": at,
            "environment": asdict(replace(environment, server=environment.server.replace("unix socket", "TCP on 127.0.0.1"))),
            "options": asdict(self._sizes),
            "cases": {name: {"load": row.load, "figures": spreads(row.figures)} for name, row in self._rows.items()},
            "peers": {peer.name: self._described(peer, programs.get(peer.name)) for peer in (OURS, *peers)},
            "failures": self._failures,
        }

    def _programs(self, peers: Sequence[Peer]) -> dict[str, Program]:
        """How to start each; one that cannot be had is told as a failure."""
        programs: dict[str, Program] = {}
        for peer in (OURS, *peers):
            try:
                programs[peer.name] = [interpreter(peer), PROGRAMS / "driver.py", peer.module]
            except (NoInterpreter, subprocess.SubprocessError) as error:
                self._failed(f"{peer.name}: {getattr(error, 'stderr', None) or error}")
        return programs

    def _described(self, peer: Peer, program: Program | None) -> dict[str, Any]:
        return {
            "version": peer.version,
            "python": version_of(Path(program[0])) if program else "none",
            "jobs": int(self._sizes.jobs * peer.share),
            "settings": peer.settings,
            "cannot": peer.cannot,
        }

    @staticmethod
    def _limiters(peers: Sequence[Peer]) -> list[tuple[str, Peer, Rate]]:
        ours = [(OURS.name, OURS, _BUCKET), (_OUR_WINDOW, OURS, _WINDOW)]
        return ours + [(peer.name, peer, _WINDOW) for peer in peers if peer.limiter]

    def _one(self, name: str, turn: int, measure: Measure) -> None:
        row = self._rows.setdefault(name, Row())
        row.load.append(round(os.getloadavg()[0], 2))
        try:
            with self._server() as server:
                figures = uvloop.run(measure(server.url))
        except PeerFailed as error:
            self._failed(f"{name}, turn {turn}: {error}")
            return
        except Exception as error:  # noqa: BLE001 - the others' results are not to be lost for it
            self._failed(f"{name}, turn {turn}: {type(error).__name__}: {error}")
            return
        row.add(figures)
        words = "  ".join(f"{figure} {value:,.1f}" for figure, value in list(figures.items())[:3])
        self._say(f"{turn}/{self._repeat} {name:16}{words}")

    def _failed(self, words: str) -> None:
        self._failures.append(words)
        self._say(f"FAILED {words}")

    def _say(self, words: str) -> None:
        print(f"{monotonic_s() - self._begun_s:5.0f} s  {words}", file=sys.stderr, flush=True)

    def _server(self) -> Server:
        """As its makers ship it, but for the append-only file: the settings that suit this runner are not for the others to bear."""
        return Server(self._kind, tcp=True, appendonly=True, options={"hash-max-listpack-value": "64"})
