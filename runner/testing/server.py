"""The embedded server of the tests of this process: started by the first test that needs it, stopped with the process."""

import atexit
from contextlib import ExitStack
from functools import cache

from runner.connection import EmbeddedServer


@cache
def server_url() -> str:
    """Where it listens. Its folder is temporary and its own, so processes of one test run do not meet. Raises `MissingExtra`."""
    stack = ExitStack()
    server = stack.enter_context(EmbeddedServer.private())
    atexit.register(stack.close)
    return server.url
