"""LiveKeys: bounds the distinct keys in use at a time, since callers can invent keys. Pure; the time is passed in."""

from collections import OrderedDict

OTHERS = "~others"
"""The key that all keys above the bound share, and so one bucket."""


class LiveKeys:
    """The keys of one limit that were used within `lives_s`: after that time a bucket is full again, and Redis has forgotten it."""

    def __init__(self, most: int, lives_s: float) -> None:
        self._most = most
        self._lives_s = lives_s
        self._used_s: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._used_s)

    def admit(self, key: str, now_s: float) -> bool:
        """Whether this key may have a bucket of its own. Takes constant time on average."""
        used_s = self._used_s
        while used_s and next(iter(used_s.values())) <= now_s - self._lives_s:
            used_s.popitem(last=False)
        if key not in used_s and len(used_s) >= self._most:
            return False
        used_s[key] = now_s
        used_s.move_to_end(key)
        return True
