"""What a campaign is to do."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.campaign.arena import Fault
from tests.chaos.campaign.faults import FAULTS
from tests.chaos.campaign.players.cast import PLAYERS


@dataclass(frozen=True)
class Plan:
    """What a campaign is to do. `patience` widens the bounds, for machines that are busy with other things."""

    seed: int
    seconds: float
    folder: Path
    kind: str = "valkey"
    workers: int = 6
    rate: float = 130.0
    pause_s: float = 5.0
    takers: int = 2
    branch_workers: int = 2
    with_api: bool = False
    patience: float = 1.0
    kinds: frozenset[str] = frozenset(FAULTS)
    players: frozenset[str] = frozenset(PLAYERS)
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def all_settings(self) -> dict[str, Any]:
        """Short times, and results that are forgotten soon, so that memory shows what stays.

        An id is known for as long as its job is kept: a batch that is sent again later than that, as nobody answered, runs again.
        """
        short = {"lease_s": 4.0, "renew_s": 1.0, "reclaim_s": 0.5, "block_s": 1.0, "drain_s": 10.0, "concurrency": 20}
        kept = {"result_ttl_s": 120.0, "failed_ttl_s": 120.0, "history_length": 200_000, "record_starts": True}
        odd = {"longest_freeze_s": 1.0}  # some providers say that they are away for years
        return short | kept | odd | self.settings

    @property
    def faults(self) -> dict[str, Fault]:
        return {name: fault for name, fault in FAULTS.items() if name in self.kinds and (self.with_api or fault.family != "api")}
