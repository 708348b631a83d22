"""BrowserGuard: refuses what a page of another site can make a browser send here. For a service without keys, which trusts whoever reaches it.

A page can send requests to any address that its visitor's computer reaches. It can give its own name this service's address (DNS rebinding):
the browser then lets it read the answers too, but the name is in Host.
"""

from collections.abc import Iterable
from ipaddress import ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

from runner.http.problems import Problem

ANY_HOST = "*"
_READS = ("GET", "HEAD", "OPTIONS")
_OWN_SITES = (b"same-origin", b"none")
_MOST_REMEMBERED = 100
_LONGEST = 300


class BrowserGuard:
    """An ASGI app around another. `allowed_hosts` are names of this service besides "localhost" and addresses; "*" allows any."""

    def __init__(self, app: ASGIApp, allowed_hosts: Iterable[str] = ()) -> None:
        self._app = app
        self._allowed = {host.strip().lower().rstrip(".") for host in allowed_hosts} - {""}
        self._remembered: set[bytes] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = self._problem(scope) if scope["type"] == "http" else None
        if problem is None:
            await self._app(scope, receive, send)
        else:
            await problem.response(str(scope.get("root_path", "")))(scope, receive, send)

    def _problem(self, scope: Scope) -> Problem | None:
        host = origin = site = b""
        has_key = False
        for name, value in scope["headers"]:
            if name == b"host":
                host = value
            elif name == b"origin":
                origin = value
            elif name == b"sec-fetch-site":
                site = value
            elif name == b"authorization":
                has_key = True
        if host not in self._remembered and scope.get("client") is not None and not self._is_allowed(host):
            shown = host.decode("latin-1")[:_LONGEST]
            return Problem(
                "misdirected-request",
                f"Host is {shown!r}, which is no name of this service: call it by its address or as localhost, or start it with"
                f" --allowed-host {shown.partition(':')[0]}",
            )
        if scope["method"] in _READS or has_key:  # no browser adds a key that its page does not have
            return None
        if (site and site not in _OWN_SITES) or (origin and origin.partition(b"://")[2] != host):
            shown = (origin or site).decode("latin-1")[:_LONGEST]
            return Problem("cross-site", f"the request comes from a page of another site ({shown!r}), which may change nothing here")
        return None

    def _is_allowed(self, host: bytes) -> bool:
        if ANY_HOST not in self._allowed and not _is_own_name(host.decode("latin-1"), self._allowed):
            return False
        if len(self._remembered) < _MOST_REMEMBERED:
            self._remembered.add(host)
        return True


def _is_own_name(host: str, allowed: Iterable[str]) -> bool:
    """An address is nobody's name: a browser that sends it has connected to it."""
    name, _, port = host.partition("]") if host.startswith("[") else host.partition(":")
    if port.lstrip(":") and not port.lstrip(":").isdecimal():
        return False
    name = name.lower().removeprefix("[").rstrip(".")
    if name == "localhost" or name.endswith(".localhost") or name in allowed:
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
