"""stats: how many jobs a queue has in each state, and what it has in Redis's memory."""

from dataclasses import asdict
from typing import Annotated

import typer

from runner.cli.output import columns, say, say_json
from runner.cli.queue_client import RedisTarget, about_redis
from runner.client import Client
from runner.jobs import JobCounts
from runner.store import MemoryStats


@about_redis
def stats(
    target: RedisTarget,
    full: Annotated[
        bool, typer.Option("--full", help="Go through all keys of the server, however long it takes, in place of 2 s.")
    ] = False,
) -> None:
    """Print how many jobs there are of each state, and an estimate of what the queue has in Redis's memory, by kind."""

    async def ask(client: Client) -> tuple[JobCounts, MemoryStats]:
        return await client.job_counts(), await client.memory(whole=full)

    counts, memory = target.ask_redis(ask)
    if target.json:
        say_json({"jobs": asdict(counts), "memory": {**asdict(memory), "bytes": memory.bytes}})
        return
    for line in columns([("JOBS", "COUNT"), *_counts(counts)]):
        say(line)
    say("")
    for line in columns([("MEMORY", "KEYS", "BYTES", "MEASURED"), *_kinds(memory)]):
        say(line)
    for note in _notes(memory):
        say(note)


def _counts(counts: JobCounts) -> list[tuple[str, ...]]:
    fields = asdict(counts)
    rows: list[tuple[str, ...]] = [
        (state, str(fields[state])) for state in ("queued", "waiting", "scheduled", "running", "failed", "cancelled", "expired")
    ]
    return rows + [(f"  waiting for {why}", str(number)) for why, number in counts.waiting_for.items()]


def _kinds(memory: MemoryStats) -> list[tuple[str, ...]]:
    rows = [(one.kind, f"{one.keys:,}", size_words(one.bytes), f"{one.measured:,}") for one in memory.kinds]
    return [*rows, ("all together", f"{sum(one.keys for one in memory.kinds):,}", size_words(memory.bytes), "")]


def _notes(memory: MemoryStats) -> list[str]:
    notes = ["an estimate: of many keys of one kind the first 25 that were met are measured, and then one of 100"]
    if not memory.measures:
        notes = ["this user may not call MEMORY USAGE: only keys are counted"]
    if not memory.is_complete:
        notes.append("a part of the server's keys was gone through, and the rest is taken to be like it: --full goes through all")
    if memory.used:
        most = f" of {size_words(memory.most)} (maxmemory)" if memory.most else ""
        notes.append(f"the server uses {size_words(memory.used)}{most}")
    return notes


def size_words(size: int) -> str:
    """Bytes for people."""
    for unit, length in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= length:
            return f"{size / length:.1f} {unit}"
    return f"{size} B"
