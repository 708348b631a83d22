"""How limits stand, as a caller sees it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from runner.clock import MICROSECONDS

_INTERNAL = {"name", "step_us", "credits_a_step", "credits_a_token", "period_us", "calendar", "version", "at_us", "until_us", "reason"}
"""What the scripts need of a policy and a reader does not, or finds beside it."""


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
    frozen_reason: str | None = None


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
    frozen_reason: str | None = None

    @property
    def policy(self) -> dict[str, Any]:
        """The policy in force."""
        return self.override or self.code

    def document(self) -> dict[str, Any]:
        """The limit as JSON: what the API and `--json` show. Times are seconds, instants are texts of ISO 8601."""
        override, paused = self.override, self.paused
        return {
            "name": self.name,
            "policy": _shown(self.policy),
            "code": _shown(self.code),
            "override": override
            and {
                "policy": _shown(override),
                "since": _instant(override["at_us"]),
                "until": _instant(override.get("until_us")),
                "reason": override["reason"],
            },
            "paused": paused and {"since": _instant(paused["at_us"]), "reason": paused["reason"]},
            "frozen_s": self.frozen_s,
            "frozen_reason": self.frozen_reason,
            "buckets": [asdict(bucket) for bucket in self.buckets],
        }


def _shown(policy: Mapping[str, Any]) -> dict[str, Any]:
    """A policy for readers: times in seconds, nothing that only the scripts need."""
    shown = {name: policy[name] for name in ("kind", "rate", "capacity", *policy) if name not in _INTERNAL}
    return {
        (name.removesuffix("_us") + "_s" if name.endswith("_us") else name): value / MICROSECONDS if name.endswith("_us") else value
        for name, value in shown.items()
    }


def _instant(microseconds: str | None) -> str | None:
    if microseconds is None:
        return None
    return datetime.fromtimestamp(int(microseconds) / MICROSECONDS, UTC).isoformat().replace("+00:00", "Z")
