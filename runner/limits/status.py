"""How limits stand, as a caller sees it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class BucketStatus:
    """A live bucket: whole tokens that could be taken now, jobs that wait at it, seconds until its next token and of its freeze.

    `next_token_s` is None where nobody can know: a concurrency slot comes back when its holder is done.
    """

    bucket: str
    tokens: int
    waiting: int
    next_token_s: float | None
    frozen_s: float
    frozen_by: str | None = None


@dataclass(frozen=True, slots=True)
class LimitStatus:
    """A limit as Redis knows it: what the code says, the override in force, why it is paused, and its live buckets.

    Of a limit with a key the buckets are those somebody waits for; `frozen_s` is for how long all of them are frozen together.
    """

    name: str
    code: dict[str, Any]
    override: dict[str, Any] | None
    paused: dict[str, Any] | None
    buckets: list[BucketStatus]
    frozen_s: float = 0.0
    frozen_by: str | None = None

    @property
    def policy(self) -> dict[str, Any]:
        """The policy in force."""
        return self.override or self.code
