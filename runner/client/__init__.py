"""What producers and operators use: by name (Client), or with the code (Runner, Task). Submits, asks, waits, takes tokens, changes limits."""

from runner.client.app import BlockingRunner, Runner
from runner.client.app_loading import configure, load_app, load_queue
from runner.client.beside import workers
from runner.client.blocking import Blocking, door, through
from runner.client.callers_client import CallersClient
from runner.client.client import BlockingClient, Client, JobRequest, session_of
from runner.client.control import BlockingControl, Control
from runner.client.handle import BlockingHandle, JobHandle
from runner.client.keys import ApiKeys, BlockingApiKeys, NewKey
from runner.client.publication import Publication
from runner.client.raw_result import BlockingRawResult, RawResult
from runner.client.redirect import app_of, redirected
from runner.client.session import Session
from runner.client.task import AsyncTask, BlockingTask, PlainTask, Task

__all__ = [
    "ApiKeys",
    "AsyncTask",
    "Blocking",
    "BlockingApiKeys",
    "BlockingClient",
    "BlockingControl",
    "BlockingHandle",
    "BlockingRawResult",
    "BlockingRunner",
    "BlockingTask",
    "CallersClient",
    "Client",
    "Control",
    "JobHandle",
    "JobRequest",
    "NewKey",
    "PlainTask",
    "Publication",
    "RawResult",
    "Runner",
    "Session",
    "Task",
    "app_of",
    "configure",
    "door",
    "load_app",
    "load_queue",
    "redirected",
    "session_of",
    "through",
    "workers",
]
