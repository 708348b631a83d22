"""DirectClient: sends commands from any thread and returns at once. Its coroutines never wait for an event loop, so anything can drive them."""

import threading
from typing import Any

from runner.connection.client import packed
from runner.connection.opening import connect_in_thread, located


class DirectClient:
    """As much of a client as the scripts of a store need: one connection. Each call blocks its thread for as long as Redis takes."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self._pool = connect_in_thread(located(url), timeout_s=timeout_s).connection_pool
        self._connection = self._pool.make_connection()
        self._lock = threading.Lock()

    async def execute_command(self, *words: Any, is_large: bool = False, **_: Any) -> Any:  # noqa: ARG002 - one connection carries all
        """The reply as the server gives it."""
        # Without the library's pool, which takes twice as long as a small command.
        with self._lock:
            self._connection.send_packed_command([packed(words)], check_health=False)
            return self._connection.read_response()

    async def aclose(self) -> None:
        """Close its connection."""
        self._connection.disconnect()
        self._pool.disconnect()
