"""Homes: the way of one event loop to the homes of shared limits, where these are changed and looked at."""

from runner.errors import StoreUnavailable
from runner.limits import Limit
from runner.settings import Settings
from runner.store import Home, Role


class Homes:
    """Each is opened at its first use. `url`: of the queue's server."""

    def __init__(self, url: str, settings: Settings) -> None:
        self._url = url
        self._settings = settings
        self._open: dict[str, Home] = {}

    def opened(self, limit: Limit) -> Home:
        """The home of a shared limit."""
        scope = limit.shared
        assert scope is not None, "only shared limits have a home"
        home = self._open.get(scope)
        if home is None:
            home = self._open[scope] = Home(self._url, scope, self._settings)
        return home

    async def of(self, limit: Limit) -> Home:
        """The same, once it knows the limit. Raises `StoreUnavailable`."""
        home = self.opened(limit)
        try:
            if await home.code_of(limit.name) is None:
                await home.publish({}, [limit.in_scope(None)], role=Role.producer)
        except StoreUnavailable as error:
            raise StoreUnavailable(f"the home of shared limit {limit.name!r}: {error}") from error
        return home

    async def close(self) -> None:
        """Close every connection."""
        for home in self._open.values():
            await home.close()

    def abandon(self) -> None:
        """Close the sockets, without the event loop."""
        for home in self._open.values():
            home.abandon()
