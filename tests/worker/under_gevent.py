"""A program under gevent: greenlets that wait for jobs of one queue, all at once. `python -m tests.worker.under_gevent URL QUEUE COUNT`."""

# ruff: noqa: E402 - gevent patches what the others import
from gevent import monkey

monkey.patch_all()

import sys

import gevent

from runner import Client


def main(url: str, queue: str, count: int) -> None:
    """Print the results of so many jobs, each waited for in a greenlet of its own."""
    client = Client(queue, redis_url=url)

    def call(number: int) -> str:
        return str(client.blocking.submit("meet", {"number": number}).result(timeout=60))

    greenlets = [gevent.spawn(call, number) for number in range(count)]
    gevent.joinall(greenlets, raise_error=True)
    print(*(greenlet.value for greenlet in greenlets))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
