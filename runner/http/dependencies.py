"""What routes depend on: the client of the queue they serve, and the event that ends waiting requests."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from runner import Client, Runner

STATE = "runner.http.service"
"""Where the state of a request holds its service."""


@dataclass(frozen=True, slots=True)
class Service:
    """What the routes of one queue share: the connection to the queue, and the event that is set when the service stops."""

    client: Client
    stopping: asyncio.Event


def service_of(request: Request) -> Service:
    """The service that this request reached."""
    return cast("Service", request.scope["state"][STATE])


async def client_of(request: Request) -> Client:
    """The client of the service that this request reached."""
    return service_of(request).client


def bound_to(queue: Client | Runner, stopping: asyncio.Event) -> Callable[[Request], Awaitable[None]]:
    """A dependency that tells the routes after it which queue they serve. A Runner opens its client at the first request."""

    async def bind(request: Request) -> None:
        client = queue.client if isinstance(queue, Runner) else queue
        request.scope.setdefault("state", {})[STATE] = Service(client, stopping)

    return bind


TheClient = Annotated[Client, Depends(client_of)]
