"""AuditLine: one line of the audit."""

from typing import NamedTuple


class AuditLine(NamedTuple):
    """Who changed what, or was refused. `id` orders the lines, and is where to read on. at: seconds since 1970 by Redis's clock.

    action: "pause", "key created", "refused". before, after: in short, as JSON where it was.
    """

    id: str
    at: float
    by: str
    address: str
    request: str
    action: str
    target: str
    before: str
    after: str
