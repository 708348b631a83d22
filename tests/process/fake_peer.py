"""Peers for tests of the bench: one that works, over a Redis list, and some that go wrong. Each is run by the bench's driver as a process."""

import os
import sys
import threading
from collections.abc import Callable
from typing import cast

from redis import Redis

Rate = dict[str, object] | None


class Peer:
    """Works, job after job. Its environment variable FAKE_PEER names what it does wrong."""

    def __init__(self, url: str, concurrency: int, rate: Rate, note: Callable[[int], int]) -> None:
        self._redis = Redis.from_url(url, decode_responses=True)
        self._note = note
        self._fault = os.environ.get("FAKE_PEER", "")

    def connect(self) -> None:
        print("what a peer prints is no answer")
        self._redis.ping()

    def submit(self, number: int) -> int:
        if self._fault == "refuses":
            raise ValueError("no job today")
        self._redis.rpush("jobs", number)
        return number

    def submit_many(self, numbers: list[int]) -> list[int]:
        self._redis.rpush("jobs", *numbers)
        return numbers

    def result(self, handle: int) -> int | None:
        value = self._redis.hget("results", str(handle))
        return None if value is None else int(value)

    def work(self) -> None:
        if self._fault == "dies":
            print("out of luck", file=sys.stderr, flush=True)
            os._exit(3)
        if self._fault == "stalls":
            threading.Event().wait()
        while True:
            number = int(cast("tuple[str, str]", self._redis.blpop(["jobs"]))[1])
            result = self._note(number)
            if self._fault != "forgets":
                self._redis.hset("results", str(number), str(result))
