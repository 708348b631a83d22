"""What routes depend on: the client of the queue they serve, and the event that ends waiting requests."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Annotated, Any, cast

from fastapi import Depends, Request

from runner import CallersClient, Client, ConfigurationError, Principal, Runner
from runner.http.at_once import AtOnce, streams, waits, waits_of_each
from runner.http.damage import Damage
from runner.http.quotas import Quotas
from runner.http.refusals import Refusals
from runner.http.shared_lines import SharedLines
from runner.http.told_overviews import ToldOverviews

STATE = "runner.http.service"
"""Where the state of a request, and that of an app of ours, hold their service."""


Authorize = Callable[[Mapping[str, Any], str, str | None], Awaitable[Principal]]
"""From an ASGI scope, the right that is needed, like "limits:write", and what it is about (a job's id, the name of a limit or a task; None)
to who asks. Raises `Unauthenticated`, `Forbidden`, `StoreUnavailable`."""


_MOST_SEEN = 1_000


@dataclass(frozen=True, slots=True)
class Service:
    """What the routes of one queue share: the connection to the queue, the event, if any, set when the service stops, who waits and who listens."""

    client: Client
    stopping: asyncio.Event | None
    waits: AtOnce
    own_waits: AtOnce
    streams: AtOnce
    quotas: Quotas
    refusals: Refusals
    damage: Damage
    told: ToldOverviews
    lines: SharedLines
    authorize: Authorize | None = None
    """None: the app guards its routes itself."""

    who: str | None = None
    """Whose requests it serves, if that is known."""

    seen: dict[int, tuple[Principal, Client, "Service"]] = field(default_factory=dict)
    """What each caller has of it, by the identity of who that is, which is the same for all requests of some seconds."""

    def one_more_waits(self) -> ExitStack:
        """Around the wait of a request. Raises `Problem` if too many wait."""
        with ExitStack() as held:
            if self.who is not None:
                held.enter_context(self.own_waits.one_more(self.who))
            held.enter_context(self.waits.one_more())
            return held.pop_all()

    def seen_by(self, principal: Principal) -> "Service":
        """The same as one caller has it, within what it may do."""
        known = self.seen.get(id(principal))
        if known is not None and known[0] is principal and known[1] is self.client:
            return known[2]
        charge = None if principal.rate is None else partial(self.quotas.take, principal, spent=1)
        client = CallersClient(self.client, principal, before_more=charge)
        own = replace(self, client=client, who=principal.key_id or principal.name, seen={})
        if len(self.seen) >= _MOST_SEEN:
            self.seen.clear()
        self.seen[id(principal)] = principal, self.client, own
        return own


class Opening:
    """The service of an app: opened when the app starts, or by the first request of an app that is mounted, whose start nobody tells it."""

    def __init__(
        self,
        queue: Client | Runner[Any] | Callable[[], Client],
        stopping: asyncio.Event | None,
        authorize: Authorize | None = None,
        most_streams: int | None = None,
    ) -> None:
        _check(queue, stopping, authorize, most_streams)
        self._queue = queue
        self._stopping = stopping
        self._at_once = waits(), waits_of_each(), streams(most_streams)
        self._authorize = authorize
        self._quotas = Quotas(lambda: self.service.client)
        self._refusals = Refusals(lambda: self.service.client)
        self._damage = Damage()
        self._told, self._lines = ToldOverviews(), SharedLines()
        self._service: Service | None = None
        self._seen: dict[int, tuple[Principal, Client, Service]] = {}

    @property
    def service(self) -> Service:
        """The service, opened at its first use; what cannot be opened is said then."""
        if isinstance(self._queue, Runner):  # its client is another one once it was closed
            return self._of(self._queue.client)
        if self._service is None:
            self._service = self._of(self._queue if isinstance(self._queue, Client) else _opened(self._queue))
        return self._service

    def _of(self, client: Client) -> Service:
        at_once = self._at_once
        return Service(
            client,
            self._stopping,
            *at_once,
            quotas=self._quotas,
            refusals=self._refusals,
            damage=self._damage,
            told=self._told,
            lines=self._lines,
            authorize=self._authorize,
            seen=self._seen,
        )

    async def close(self) -> None:
        """Close what was opened here. A client or a Runner that was given belongs to its giver."""
        await self._refusals.close()
        await self._quotas.close()
        if self._service is not None and not isinstance(self._queue, Client):
            service, self._service = self._service, None
            await service.client.close()


def _check(queue: object, stopping: object, authorize: object, most_streams: object) -> None:
    """Raises `ConfigurationError` for what no service can be made of."""
    if not isinstance(queue, (Client, Runner)) and (not callable(queue) or (isinstance(queue, type) and not issubclass(queue, Client))):
        raise ConfigurationError(f"queue is {queue!r:.80}: give a Runner, a Client, or a function that opens a Client")
    if stopping is not None and not isinstance(stopping, asyncio.Event):
        raise ConfigurationError(f"stopping is {stopping!r:.80}: give an asyncio.Event")
    if authorize is not None and not callable(authorize):
        raise ConfigurationError(f"authorize is {authorize!r:.80}: give a function, see runner.http.create_app")
    if most_streams is not None and (isinstance(most_streams, bool) or not isinstance(most_streams, int) or most_streams < 0):
        raise ConfigurationError(f"most_streams is {most_streams!r:.80}: give a whole number of streams, or None")


def _opened(queue: Callable[[], Client]) -> Client:
    client: object = queue()
    if not isinstance(client, Client):
        raise ConfigurationError(f"the function given as queue returned {client!r:.80}: return a Client")
    return client


def service_of(request: Request) -> Service:
    """The service that this request reached."""
    bound = request.scope["state"].get(STATE) if "state" in request.scope else None
    if bound is not None:
        return cast("Service", bound)
    # Not from the state of the lifespan: an app that is mounted in another gets that of the other.
    opening: Opening = getattr(request.scope["app"].state, STATE)
    return opening.service


def is_our_app(request: Request) -> bool:
    """Whether the routes are those of an app of ours, and not included in another."""
    return hasattr(request.scope["app"].state, STATE)


async def client_of(request: Request) -> Client:
    """The client of the service that this request reached."""
    return service_of(request).client


def bound_to(opening: Opening) -> Callable[[Request], Awaitable[None]]:
    """A dependency that tells the routes after it which queue they serve."""

    async def bind(request: Request) -> None:
        request.scope.setdefault("state", {})[STATE] = opening.service

    return bind


TheClient = Annotated[Client, Depends(client_of)]
