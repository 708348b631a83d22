"""RateLimits: limits that an app asks by itself, once it knows who calls. Decided as the middleware decides, also while Redis is away."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from runner.asgi.deadline_limiter import DeadlineLimiter
from runner.asgi.request_limiter import Fallback, RequestLimiter
from runner.client import Client
from runner.limits import Limit, need_of
from runner.ranges import checked
from runner.settings import Settings

_MOST_LOCAL = 100_000


@dataclass(frozen=True, slots=True)
class _Queue:
    """What the limiter needs of an app, for a client that has no app."""

    client_of: Callable[[], Client]
    revision: int = 0

    @property
    def client(self) -> Client:
        return self.client_of()

    @property
    def settings(self) -> Settings:
        return self.client.settings


class RateLimits:
    """Some limits of one queue. `client_of` gives the client to ask with; each process publishes the limits itself.

    A request that Redis does not answer within `deadline` seconds is decided by buckets of this process. Raises `ConfigurationError`.
    """

    def __init__(self, client_of: Callable[[], Client], limits: Sequence[Limit], *, deadline: float = 0.05) -> None:
        checked("deadline", deadline, of="RateLimits")
        self._limiter = DeadlineLimiter(_Queue(client_of), {limit.name: limit for limit in limits}, deadline)
        self._decisions = RequestLimiter(self._limiter, Fallback("local", 1), _MOST_LOCAL)

    async def take(self, limit: Limit, cost: int, key: Mapping[str, object]) -> int:
        """Take tokens now or not at all: 0 if they were there, else the whole seconds after which to come back. Raises `ExceedsCapacity`."""
        return (await self._decisions.decide([need_of(limit, cost, key)])).retry_after_s

    async def close(self) -> None:
        """Let calls under way end."""
        await self._limiter.close()
