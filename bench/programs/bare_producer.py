"""Submits prepared jobs by the engine's script over a plain socket, the next batch being sent while the last is under way."""

import argparse
import sys

from bench.backlog import Backlog, prepared
from bench.bare import BareConnection, BareQueue
from bench.workload import QUEUE, build
from runner import Settings, load_settings
from runner.clock import monotonic_s


def submit(settings: Settings, jobs: int, batch: int) -> float:
    """Seconds for all."""
    assert settings.redis_url is not None
    queue, connection = BareQueue(QUEUE, settings), BareConnection(settings.redis_url)
    queue.load(connection)
    app = build(QUEUE, settings)
    ready = [job for group in prepared(app, Backlog(jobs), range(jobs)) for job in group]
    batches = [queue.submit(ready[begin : begin + batch]) for begin in range(0, jobs, batch)]
    print("ready", flush=True)
    sys.stdin.readline()
    begun_s = monotonic_s()
    connection.send(batches[0])
    for words in batches[1:]:
        connection.send(words)
        connection.receive()
    connection.receive()
    seconds = monotonic_s() - begun_s
    connection.close()
    return seconds


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("jobs", type=int)
    parser.add_argument("batch", type=int, help="jobs a call")
    given = parser.parse_args()
    print(submit(load_settings(), given.jobs, given.batch), flush=True)
    sys.stdin.read()
