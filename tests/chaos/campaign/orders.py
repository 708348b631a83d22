"""What a process of a campaign is told when it starts: `python -m MODULE URL NOTES SETTINGS SEED VERSION LAUNCH`."""

import json
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple, Self

_OF_WORKER = "CAMPAIGN_ORDERS"


class Orders(NamedTuple):
    """Where it finds Redis, where it leaves its notes, and what it is."""

    url: str
    notes: Path
    settings: dict[str, Any]
    seed: int
    version: int
    launch: int
    """How many processes have stood at its post before."""

    @classmethod
    def given(cls) -> Self:
        """Those of this process, or of the worker whose child it is."""
        words = json.loads(os.environ[_OF_WORKER]) if _OF_WORKER in os.environ else sys.argv[1:]
        url, notes, settings, *numbers = words
        return cls(url, Path(notes), json.loads(settings), *map(int, numbers))

    def tell_children(self) -> None:
        """What this process starts gets the same."""
        os.environ[_OF_WORKER] = json.dumps(self.arguments())

    def arguments(self) -> list[str]:
        return [self.url, str(self.notes), json.dumps(self.settings), str(self.seed), str(self.version), str(self.launch)]
