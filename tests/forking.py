"""Code that runs in a forked child of the test's process, which leaves nothing of the test behind."""

import os
import signal
import traceback
from collections.abc import Callable

MOST_S = 20
"""A child that has not ended by then is killed."""


def in_child(call: Callable[[], object]) -> None:
    """Run a call in a forked child; AssertionError if it raises there. Call it in a thread: it blocks."""
    child = os.fork()
    if child == 0:
        status = 1
        signal.alarm(MOST_S)
        try:
            call()
            status = 0
        except BaseException:  # noqa: BLE001 - whatever it is, the child must not go on with the test
            traceback.print_exc()
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status == 0, f"the child ended with status {status}, see its output"
