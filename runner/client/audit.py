"""The audit as it is read: from an instant on, or after a line."""

import re

from runner.access import AuditLine
from runner.client.said_times import seconds_back
from runner.clock import MICROSECONDS
from runner.errors import ConfigurationError
from runner.names import fits
from runner.ranges import checked_whole
from runner.store import Access

_LINE_ID = re.compile(r"[0-9]{1,19}-[0-9]{1,19}")


_A_PAGE = 1_000
"""Lines that one call reads where only some of them are wanted."""


async def lines_of(store: Access, since: object, after: str, most: int, target: str = "") -> list[AuditLine]:
    """The first lines of the last `since`, or after the one of this id; with a `target` those about it. Raises `ConfigurationError`."""
    checked_whole("most", most, of="audit")
    begin = await _begin(store, since, after)
    if not target:
        return await store.audit(begin, most)
    found: list[AuditLine] = []
    while page := await store.audit(begin, _A_PAGE):
        found += [line for line in page if line.concerns(target)]
        if len(found) >= most or len(page) < _A_PAGE:
            break
        begin = f"({page[-1].id}"
    return found[:most]


async def _begin(store: Access, since: object, after: str) -> str:
    if after:
        if not fits(_LINE_ID, after):
            raise ConfigurationError(f"after={after!r:.60} is no id of a line of the audit: one is like 1764417600000-0")
        return f"({after}"
    if since is None:
        return "-"
    since_s = seconds_back("audit", since)
    now_us = await store.now_us()
    return str(max(round((now_us / MICROSECONDS - since_s) * 1_000), 0))
