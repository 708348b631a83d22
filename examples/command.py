"""How the command of an example ends: by itself, by Ctrl-C, or by an error that its user can do something about."""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any

from runner import RunnerError


def exit_status(running: Coroutine[Any, Any, int], stopped: str) -> int:
    """Run it; its result is the exit status. stopped: what is said after Ctrl-C."""
    try:
        return asyncio.run(running)
    except KeyboardInterrupt:
        print(stopped, file=sys.stderr)
        return 130
    except (OSError, RunnerError) as error:
        print(error, file=sys.stderr)
        return 1
