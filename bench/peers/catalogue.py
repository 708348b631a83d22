"""The peers: what each is, which interpreter it needs, how it was set up for speed and what it cannot do. docs/explanation/benchmarks.md shows the same."""

from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).parent
PROGRAMS = _FOLDER / "programs"


@dataclass(frozen=True, slots=True)
class Peer:
    """`share` is its part of the jobs asked for: a slow one gets fewer, so that a run has an end. `oldest_python` is what its package asks for."""

    name: str
    settings: str
    cannot: str = ""
    share: float = 0.5
    limiter: bool = False
    oldest_python: tuple[int, int] = (3, 11)

    @property
    def module(self) -> str:
        """Its program, run by driver.py."""
        return f"with_{self.name}"

    @property
    def requirements(self) -> Path:
        """Every package of its environment with its version."""
        return _FOLDER / "requirements" / f"{self.name}.txt"

    @property
    def version(self) -> str:
        """Of the package that gives the peer its name."""
        if not self.requirements.exists():
            return "this one"
        package = {"docket": "pydocket", "taskiq": "taskiq-redis"}.get(self.name, self.name)
        pins = dict(line.split("==") for line in self.requirements.read_text().split())
        return f"{package} {pins[package]}"


OURS = Peer("runner", "500 jobs a bulk call", share=1, limiter=True)

_NO_BULK = "bulk submit"
_NO_RATE = "a rate over all workers"

PEERS = (
    Peer("ardiq", "500 jobs a bulk call; Rust core", _NO_RATE, share=1, oldest_python=(3, 12)),
    Peer("arq", "`poll_delay=0.01` (default 0.5, for a p50 of 250 ms), `queue_read_limit=1000`", f"{_NO_BULK}, {_NO_RATE}"),
    Peer("bullmq", "`addBulk` with 500 jobs", limiter=True),
    Peer(
        "celery",
        "threads pool, `worker_prefetch_multiplier=64`, no gossip, mingle, heartbeat or events",
        f"{_NO_BULK}, async jobs, {_NO_RATE} (each keeps its own)",
        share=0.15,
    ),
    Peer(
        "docket",
        "`add_many` with 500 jobs, room for 400 connections (with the pool's usual 100 some of 100 jobs at once fail)",
        limiter=True,
    ),
    Peer("dramatiq", "100 threads, Results middleware", f"{_NO_BULK}, a rate that jobs wait for (beyond it they fail and are retried)"),
    Peer(
        "rq",
        "`SimpleWorker`, which runs jobs in its own process (the default worker forks for each), `enqueue_many`",
        f"more than one job at a time, async jobs, {_NO_RATE}",
        share=0.15,
    ),
    Peer("saq", "hiredis", f"{_NO_BULK}, {_NO_RATE}"),
    Peer("streaq", "`enqueue_many` with 500 jobs", _NO_RATE),
    Peer("taskiq", "Redis streams broker, ORJSON for messages and results, prefetch 100", f"{_NO_BULK}, {_NO_RATE}"),
)
