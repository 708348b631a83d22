"""The audit as it is read: from an instant on, or after a line."""

import re

from runner.access import AuditLine
from runner.client.said_times import seconds_said
from runner.clock import MICROSECONDS
from runner.errors import ConfigurationError
from runner.names import fits
from runner.ranges import checked, checked_whole
from runner.store import Access

_LINE_ID = re.compile(r"[0-9]{1,19}-[0-9]{1,19}")


async def lines_of(store: Access, since: object, after: str, most: int) -> list[AuditLine]:
    """The first lines of the last `since`, or after the one of this id. Raises `ConfigurationError`."""
    checked_whole("most", most, of="audit")
    if after:
        if not fits(_LINE_ID, after):
            raise ConfigurationError(f"after={after!r:.60} is no id of a line of the audit: one is like 1764417600000-0")
        return await store.audit(f"({after}", most)
    if since is None:
        return await store.audit("-", most)
    since_s = checked("duration", seconds_said("the time of the audit", since), of="audit")
    now_us = await store.now_us()
    return await store.audit(str(max(round((now_us / MICROSECONDS - since_s) * 1_000), 0)), most)
