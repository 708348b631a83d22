"""What tests reach behind a public face: the store of an app or a client, and its catalog."""

from runner import Client, Runner
from runner.client import session_of
from runner.store import JobStore


def store_of(face: Runner | Client) -> JobStore:
    """The store that an app or a client uses."""
    return session_of(face.client if isinstance(face, Runner) else face).store


async def publish(app: Runner) -> None:
    """Put an app's tasks and limits into the catalog, as its first submission does."""
    await app.submit_many([])
