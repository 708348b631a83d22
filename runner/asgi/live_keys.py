"""LiveKeys: bounds the distinct keys in use at a time, since callers can invent keys. Pure; the time is passed in."""

from collections import Counter, OrderedDict
from collections.abc import Iterator
from zlib import crc32

_PART_OF_NEWCOMERS = 4
_PART_OF_ADDRESS = 100
_SHARED_BUCKETS = 64


class LiveKeys:
    """The keys of one limit that were used within `lives_s`: after that time a bucket is full again, and Redis has forgotten it.

    A newcomer is a key of which nothing is known. Newcomers have a quarter of the places, and one address a hundredth: whoever invents keys
    takes no place of a proven one, and few of other newcomers. A key without a place counts for its address, which is bounded in the same
    way; what is beyond that shares one of 64 buckets.
    """

    def __init__(self, most: int, lives_s: float) -> None:
        newcomers = max(most // _PART_OF_NEWCOMERS, 1)
        self._proven = _Pool(max(most - newcomers, 1), lives_s)
        self._newcomers = _Pool(newcomers, lives_s)
        self._addresses = _Pool(most, lives_s)
        self._most_of_address = max(most // _PART_OF_ADDRESS, 1)
        self._brought: Counter[str] = Counter()
        """How many newcomers came from each address."""
        self._came_from: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._proven) + len(self._newcomers) + len(self._addresses)

    def is_proven(self, key: str, now_s: float) -> bool:
        """Whether this key has a place for good, as long as it is used."""
        return self._proven.renew(key, now_s)

    def admit(self, key: str, address: str, now_s: float) -> bool:
        """Whether a key that is not proven may have a bucket of its own. Takes constant time on average."""
        for left in self._newcomers.expired(now_s):
            self._leave(left)
        if self._newcomers.renew(key, now_s):
            return True
        if self._brought[address] >= self._most_of_address or not self._newcomers.add(key, now_s):
            return False
        self._brought[address] += 1
        self._came_from[key] = address
        return True

    def prove(self, key: str, now_s: float) -> bool:
        """This key is one of the app's: it gets a place of its own, if there is one."""
        if not self._proven.add(key, now_s):
            return False
        if self._newcomers.discard(key):
            self._leave(key)
        return True

    def of_address(self, address: str, now_s: float) -> str:
        """The key that counts for a request without a place of its own."""
        return address if self._addresses.add(address, now_s) else f"~others-{crc32(address.encode()) % _SHARED_BUCKETS}"

    def _leave(self, key: str) -> None:
        address = self._came_from.pop(key)
        self._brought[address] -= 1
        if not self._brought[address]:
            del self._brought[address]


class _Pool:
    """Keys with the time of their latest use; each leaves when it was not used for `lives_s`."""

    def __init__(self, most: int, lives_s: float) -> None:
        self._most = most
        self._lives_s = lives_s
        self._used_s: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._used_s)

    def expired(self, now_s: float) -> Iterator[str]:
        """Remove the keys that were not used for too long."""
        while self._used_s and next(iter(self._used_s.values())) <= now_s - self._lives_s:
            yield self._used_s.popitem(last=False)[0]

    def renew(self, key: str, now_s: float) -> bool:
        """Whether the key is there; it is used now."""
        for _ in self.expired(now_s):
            pass
        if key not in self._used_s:
            return False
        self._used_s[key] = now_s
        self._used_s.move_to_end(key)
        return True

    def add(self, key: str, now_s: float) -> bool:
        """Whether the key is there now."""
        if self.renew(key, now_s):
            return True
        if len(self._used_s) >= self._most:
            return False
        self._used_s[key] = now_s
        return True

    def discard(self, key: str) -> bool:
        """Whether the key was there."""
        return self._used_s.pop(key, None) is not None
