"""What producers and operators use: by name (Client), or with the code (Runner, Task). Submits, asks, waits, takes tokens, changes limits."""

from runner.client.app import Runner
from runner.client.app_loading import configure, load_app, load_queue
from runner.client.client import Client, JobRequest, session_of
from runner.client.control import Control
from runner.client.handle import JobHandle
from runner.client.publication import Publication
from runner.client.session import Session
from runner.client.task import Task

__all__ = [
    "Client",
    "Control",
    "JobHandle",
    "JobRequest",
    "Publication",
    "Runner",
    "Session",
    "Task",
    "configure",
    "load_app",
    "load_queue",
    "session_of",
]
