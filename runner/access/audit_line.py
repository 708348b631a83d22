"""AuditLine: one line of the audit."""

from typing import NamedTuple


class AuditLine(NamedTuple):
    """Who changed what, or was refused. `id` orders the lines, and is where to read on. at: seconds since 1970 by Redis's clock.

    action: "pause", "key created", "refused". before, after: in short, as JSON where it was. reason: what was given as one. outcome: what it
    came to, of what takes longer than a moment. door: "cli", "http", "python" or "leader".
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
    reason: str = ""
    outcome: str = ""
    door: str = ""

    def concerns(self, target: str) -> bool:
        """Whether it is about this: "job o-17" as it is written, or "o-17" alone."""
        return target == self.target or target in self.target.split(" ")
