"""Tests of your own tasks: `run` for one call, without a server; `TestQueue` for what a queue makes of many, in virtual time.

`pytest` finds the fixtures `test_queue` and `runner_server` by itself.
"""

from runner.testing import blocking
from runner.testing.driver import NeverIdle
from runner.testing.inline import Ran, run
from runner.testing.member import Start
from runner.testing.queue import BlockingTestQueue, TestQueue
from runner.testing.server import server_url

__all__ = ["BlockingTestQueue", "NeverIdle", "Ran", "Start", "TestQueue", "blocking", "run", "server_url"]
