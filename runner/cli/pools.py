"""The command pools: which pools the queue has, what is in them, and who reads them."""

from dataclasses import asdict

from runner.cli.output import columns, say, say_json
from runner.cli.queue_client import Target, about_queue
from runner.store import PoolStatus


@about_queue
def pools(target: Target) -> None:
    """List the pools of the queue: jobs that are ready, run and wait for a free slot, and the workers that read each."""
    found = target.ask(lambda client: client.pools())
    if target.json:
        for pool in found:
            say_json(asdict(pool))
        return
    for line in columns([("POOL", "READY", "RUNNING", "WAITING", "READERS", "SLOTS", "NOTE"), *map(_row, found)]):
        say(line)


def _row(pool: PoolStatus) -> tuple[str, ...]:
    idle = pool.readers == 0 and pool.ready + pool.running + pool.waiting > 0
    numbers = (pool.ready, pool.running, pool.waiting, pool.readers, pool.slots)
    return (pool.name, *map(str, numbers), "no live worker reads it" if idle else "")
