"""Watching calls: tells how long each script and command took, to whoever counts. Unless somebody does, no call passes through here."""

from collections.abc import Callable, Sequence
from typing import Any

from runner.clock import monotonic_s
from runner.store.failpoints import point_of_command

NoteCall = Callable[[str, float, BaseException | None], None]
"""Called with the name of a script or command, the seconds until its reply, and what it raised."""
WAIT_AND = "wait_and_"
"""Before the name of a script that goes along with a blocking read."""


def watch_calls(note: NoteCall, *clients: Any) -> None:
    """Tell of all that these asyncio clients send from now on."""
    for client in clients:
        client.execute_command = _watched(note, client.execute_command)
        client.execute_pair = _watched_pair(note, client.execute_pair)


def watch_calls_in_thread(note: NoteCall, client: Any) -> None:
    """The same for a client used from a thread."""
    execute = client.execute_command

    def execute_command(*words: Any, **options: Any) -> Any:
        began_s, failure = monotonic_s(), None
        try:
            return execute(*words, **options)
        except BaseException as error:
            failure = error
            raise
        finally:
            note(point_of_command(*words), monotonic_s() - began_s, failure)

    client.execute_command = execute_command


def _watched(note: NoteCall, execute: Callable[..., Any]) -> Callable[..., Any]:
    async def execute_command(*words: Any, **options: Any) -> Any:
        began_s, failure = monotonic_s(), None
        try:
            return await execute(*words, **options)
        except BaseException as error:
            failure = error
            raise
        finally:
            note(point_of_command(*words), monotonic_s() - began_s, failure)

    return execute_command


def _watched_pair(note: NoteCall, execute: Callable[..., Any]) -> Callable[..., Any]:
    async def execute_pair(first: Sequence[Any], second: Sequence[Any]) -> Any:
        began_s, failure = monotonic_s(), None
        try:
            return await execute(first, second)
        except BaseException as error:
            failure = error
            raise
        finally:
            note(WAIT_AND + point_of_command(*second), monotonic_s() - began_s, failure)

    return execute_pair
