"""What a process of a campaign is told when it starts: `python -m MODULE URL NOTES SETTINGS SEED VERSION LAUNCH`."""

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple, Self


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
        """Those of this process."""
        url, notes, settings, *numbers = sys.argv[1:]
        return cls(url, Path(notes), json.loads(settings), *map(int, numbers))

    def arguments(self) -> list[str]:
        return [self.url, str(self.notes), json.dumps(self.settings), str(self.seed), str(self.version), str(self.launch)]
