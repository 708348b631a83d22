"""SharedStatus: how a limit stands that several queues share, as its home tells it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class QueueShare:
    """What one queue has of it. Tokens; `used_per_minute` of the last whole minute, `wanted` by the first of its jobs that wait."""

    queue: str
    in_hand: int
    used_per_minute: int
    wanted: int
    weight: int
    heard_s: float
    """Seconds since it was last heard of."""

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class SharedStatus:
    """Of a limit without a key: the tokens that lie in hands, and the queues that hold some or wait. `tokens`: whole ones that nobody has."""

    scope: str
    tokens: int
    out: int
    queues: Sequence[QueueShare]

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def shared_status_of(document: Mapping[str, Any]) -> SharedStatus:
    """From JSON."""
    queues = [QueueShare(**{name: row[name] for name in QueueShare.__dataclass_fields__}) for row in document["queues"]]
    return SharedStatus(document["scope"], document["tokens"], document["out"], queues)
