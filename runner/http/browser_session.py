"""The key of a browser: a cookie that no script can read, which the dashboard's page sends back with what it asks for.

The cookie holds the key itself. So nothing is kept here, any process of the service knows it, and a key that is revoked or lapses is
refused as everywhere. A browser sends it to this service alone (its path), and with no request that a page of another site makes
(`SameSite=Strict`). What changes something must carry a header beside, which no form and no link can.
"""

import re
from collections.abc import Iterable
from typing import Any

from starlette.types import Scope

COOKIE = "metered_runner_key"
PAGE_HEADER = b"x-runner-page"
"""The page sends it with each request; that of another site could only after this service had permitted it, which it never does."""
_BELOW = re.compile(r"ui/[^/]*$")
"""The end of the paths at which a session begins and ends."""
_READS = frozenset({"GET", "HEAD"})


def key_of_browser(scope: Scope | Any) -> bytes | None:
    """The key in the cookie; None without one, and for a request that changes something and is not the page's own."""
    keys: list[bytes] = []
    own = scope["method"] in _READS
    for name, value in scope["headers"]:
        if name == b"cookie":
            keys += _values(value)
        elif name == PAGE_HEADER:
            own = True
    return keys[0] if own and len(keys) == 1 else None


def cookie(scope: Scope, key: str) -> str:
    """The field Set-Cookie that gives the browser its key, for as long as it runs; an empty key takes it away.

    It is for the paths of this service only, also below a prefix, and if the page came by https it is never sent without.
    """
    path = _BELOW.sub("", scope["path"])
    life = "" if key else "; Max-Age=0"
    secure = "; Secure" if scope["scheme"] == "https" else ""
    return f"{COOKIE}={key}; Path={path}; HttpOnly; SameSite=Strict{life}{secure}"


def _values(field: bytes) -> Iterable[bytes]:
    for pair in field.split(b";"):
        name, _, value = pair.strip().partition(b"=")
        if name == COOKIE.encode():
            yield value
