"""How much memory a process has in RAM, as Linux tells it."""

import os
from pathlib import Path


def resident_bytes(pid: int | str = "self") -> int | None:
    """Of this process, or of another one; None where the system does not say, or once that has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None
