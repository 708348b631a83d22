"""Finishes a backlog by the engine's scripts over plain sockets, in batches as a worker's, and does nothing with the jobs.

A claim is always under way while the outcomes of the claim before are sent, as in the worker.
"""

import argparse
import sys

from bench.bare import BareConnection, BareQueue
from bench.workload import QUEUE
from runner import Settings, load_settings


def finish(settings: Settings, jobs: int, batch: int) -> None:
    """Returns when the last outcome is confirmed."""
    assert settings.redis_url is not None
    queue = BareQueue(QUEUE, settings)
    claims, finishes = BareConnection(settings.redis_url), BareConnection(settings.redis_url)
    queue.load(claims)
    print("ready", flush=True)
    sys.stdin.readline()
    finished = sent = 0
    claims.send(queue.claim(batch))
    while finished < jobs:
        answer = claims.receive()
        claims.send(queue.claim(batch))
        started = queue.claimed(answer)
        words = queue.finish(started)
        if sent:
            finished += len(finishes.receive())
        if started:
            finishes.send(words)
        sent = len(started)
    claims.receive()
    claims.close()
    finishes.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("jobs", type=int)
    parser.add_argument("batch", type=int, help="jobs a claim")
    given = parser.parse_args()
    finish(load_settings(), given.jobs, given.batch)
    print("done", flush=True)
    sys.stdin.read()
