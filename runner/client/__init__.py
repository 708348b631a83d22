"""What producers and operators hold: by name (Client), or with the code (Runner, Task). Submits, asks, waits, takes tokens, changes limits."""

from runner.client.app import Runner
from runner.client.client import Client, JobHandle, JobRequest
from runner.client.control import Control
from runner.client.loading import configure, load_app
from runner.client.task import Task

__all__ = ["Client", "Control", "JobHandle", "JobRequest", "Runner", "Task", "configure", "load_app"]
