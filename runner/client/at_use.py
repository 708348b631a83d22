"""What the code of an app needs at its first use, not while it declares its tasks: a client, its sessions, and all by which they reach Redis.

So a process that only imports the tasks, as a web app does while it starts, imports none of it before its first job.
"""

from typing import TYPE_CHECKING

from runner.faces import at_first_use

if TYPE_CHECKING:  # see runner.faces
    from runner.client.batch import Batch, asked_batch
    from runner.client.client import Client, jobs_of
    from runner.client.filling_by_app import FillingByApp
    from runner.client.mapped import Mapped
    from runner.client.publication import Publication
    from runner.client.session import Session
    from runner.client.sessions import Sessions
    from runner.client.stored_jobs import StoredJobs
    from runner.connection import embedded_server
    from runner.jobs import Taken
    from runner.store import QueueClock
else:
    __getattr__, __dir__ = at_first_use(
        __name__,
        {
            "client.batch": "Batch asked_batch",
            "client.client": "Client jobs_of",
            "client.filling_by_app": "FillingByApp",
            "client.mapped": "Mapped",
            "client.publication": "Publication",
            "client.session": "Session",
            "client.sessions": "Sessions",
            "client.stored_jobs": "StoredJobs",
            "connection": "embedded_server",
            "jobs": "Taken",
            "store": "QueueClock",
        },
        within="runner",
    )

__all__ = [
    "Batch",
    "Client",
    "FillingByApp",
    "Mapped",
    "Publication",
    "QueueClock",
    "Session",
    "Sessions",
    "StoredJobs",
    "Taken",
    "asked_batch",
    "embedded_server",
    "jobs_of",
]
