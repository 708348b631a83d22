"""ShortWaits: which requests stand in line for a moment: those that lack tokens of a limit that several queues share."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from runner.asgi.allowance import Allowance
from runner.limits import limit_name
from runner.store import Decision, TakeAnswer

_TOKENS = "tokens"


class ShortWaits:
    """Of one process. At a bucket there are never more than it can hold tokens: who comes then is refused at once.

    The tokens of such a limit are at its home, and come to a queue once somebody waits there.
    """

    def __init__(self) -> None:
        self._in_line: Counter[str] = Counter()

    def has_room(self, refused: Decision, allowances: Mapping[str, Allowance]) -> bool:
        """Whether a request that was refused so is to stand in line."""
        if refused.state is not TakeAnswer.refused or refused.reason != _TOKENS:
            return False
        allowance = allowances.get(limit_name(refused.bucket))
        return allowance is not None and allowance.is_shared and self._in_line[refused.bucket] < allowance.capacity

    @contextmanager
    def one(self, bucket: str) -> Iterator[None]:
        """One request in line at this bucket."""
        self._in_line[bucket] += 1
        try:
            yield
        finally:
            self._in_line[bucket] -= 1
            if not self._in_line[bucket]:
                del self._in_line[bucket]
