"""LiveKeys: a bound on the distinct keys that are in use at a time, against callers that invent them. Pure; the time is passed in."""

from collections import OrderedDict

OTHERS = "~others"
"""The key of all that are beyond the bound: they share one bucket."""


class LiveKeys:
    """The keys of one limit that were used within `lives_s`: so long a bucket takes to be full again, and so to be no more."""

    def __init__(self, most: int, lives_s: float) -> None:
        self._most = most
        self._lives_s = lives_s
        self._used_s: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._used_s)

    def admit(self, key: str, now_s: float) -> bool:
        """Whether this key has, or may have, a bucket of its own. In constant time on average."""
        used_s = self._used_s
        while used_s and next(iter(used_s.values())) <= now_s - self._lives_s:
            used_s.popitem(last=False)
        if key not in used_s and len(used_s) >= self._most:
            return False
        used_s[key] = now_s
        used_s.move_to_end(key)
        return True
