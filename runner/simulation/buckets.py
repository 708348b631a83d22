"""Buckets: the buckets that jobs need, with the lines that wait at them and what is set aside of their tokens. One clock for all."""

from collections.abc import Iterable, Sequence

from runner.limits import FAR_US, Bucket, Limit, Need, Promise
from runner.simulation.order import Order
from runner.simulation.wakes import Wakes

FULL_US = 100_000
"""When to look again at a bucket with as many released jobs as its window allows."""


class ServedBucket:
    """A bucket, the tokens that released jobs have reserved, the order of the lines that wait at it, and what they have set aside."""

    __slots__ = ("aside", "bucket", "claims", "closed_until_us", "limit", "name", "order", "released", "reserved", "until_us")

    def __init__(self, name: str, limit: Limit, bucket: Bucket, order: Order) -> None:
        self.name = name
        self.limit = limit
        self.bucket = bucket
        self.order = order
        self.closed_until_us = 0
        self.reserved = self.released = 0
        self.claims = 0
        """How many claims are in its book."""
        self.aside = self.until_us = 0
        """Tokens that lines have set aside, and until when that holds."""

    def aside_at(self, now_us: int) -> int:
        """The tokens set aside that still are."""
        if self.aside and now_us >= self.until_us:
            self.aside = 0
        return self.aside

    def wait_us(self, cost: int, now_us: int, ahead: int = 0) -> int | None:
        """The wait once the tokens are taken that are reserved or set aside, and `ahead` more; None if only an event can tell."""
        if self.closed_until_us >= FAR_US:
            return None
        wait_us = self.bucket.wait_us(cost, now_us, max(self.reserved + self.aside_at(now_us) + ahead, 0))
        return wait_us if wait_us is None or not self.closed_until_us else max(wait_us, self.closed_until_us - now_us)

    def when_us(self, cost: int, now_us: int, promised: Sequence[Promise] = (), take: int = 0, *, with_aside: bool = True) -> int:
        """The instant at which `cost` can be there, after the promised tokens and if `take` are taken now; an estimate for slots."""
        ahead = take + sum(promise.cost for promise in promised) - (0 if with_aside else self.aside_at(now_us))
        wait_us = self.wait_us(cost, now_us, ahead)
        if wait_us == 0:
            return now_us
        if wait_us is not None or self.closed_until_us >= FAR_US:
            return FAR_US if wait_us is None else now_us + wait_us
        taken = [Promise(take, now_us), *promised] if take else promised
        return max(self.bucket.when_us(cost, now_us, self.reserved, taken), self.closed_until_us)

    def is_spent(self, cost: int, now_us: int) -> bool:
        """Whether a job fails that finds no token here."""
        return self.limit.fails_when_spent and bool(self.bucket.wait_us(cost, now_us))


class Buckets:
    """Every bucket by name, and the wakes of those that lines wait at. The caller sets `now_us`."""

    def __init__(self, limits: Iterable[Limit], window: int, now_us: int, least_share: float) -> None:
        self.now_us = now_us
        self.wakes = Wakes()
        self._limits = {limit.name: limit for limit in limits}
        self._window = window
        self._least_share = least_share
        self._known: dict[str, ServedBucket] = {}
        self._costs: dict[tuple[Need, ...], list[tuple[ServedBucket, int]]] = {}

    def __getitem__(self, name: str) -> ServedBucket:
        """The bucket of this name, which is full until its first job."""
        bucket = self._known.get(name)
        if bucket is None:
            limit = self._limits[name.partition("/")[0]]
            bucket = self._known[name] = ServedBucket(name, limit, limit.full_bucket(self.now_us), Order(self._least_share))
        return bucket

    def add(self, bucket: ServedBucket) -> None:
        """A bucket whose state is known."""
        self._known[bucket.name] = bucket

    def costs(self, needs: tuple[Need, ...]) -> list[tuple[ServedBucket, int]]:
        """Every bucket of a job with what it takes there."""
        costs = self._costs.get(needs)
        if costs is None:
            costs = self._costs[needs] = [(self[need.bucket], need.cost) for need in needs]
        return costs

    def is_full(self, bucket: ServedBucket) -> bool:
        """Whether it has as many released jobs as its window allows."""
        return bucket.released >= self._window

    def are_spent(self, needs: tuple[Need, ...]) -> bool:
        """Whether a limit is spent whose jobs then fail instead of waiting."""
        return any(bucket.is_spent(cost, self.now_us) for bucket, cost in self.costs(needs))

    def reserve(self, needs: tuple[Need, ...]) -> None:
        """The tokens of a released job."""
        for bucket, cost in self.costs(needs):
            bucket.reserved += cost
            bucket.released += 1

    def unreserve(self, needs: tuple[Need, ...]) -> None:
        """A released job starts. Where half of a full window has, there is room for several more."""
        for bucket, cost in self.costs(needs):
            bucket.reserved -= cost
            bucket.released -= 1
        for bucket, _ in self.costs(needs):
            if bucket.released == self._window // 2 and bucket.order:
                self.wake(bucket)

    def wake(self, bucket: ServedBucket) -> None:
        """Something has changed there: it is due now."""
        self.wakes.set_earlier(bucket.name, self.now_us)

    def wake_in(self, bucket: ServedBucket, wait_us: int | None) -> None:
        """It is due after this time, or earlier if a reason for that is known. None: an event wakes it."""
        if wait_us is not None:
            self.wakes.set_earlier(bucket.name, self.now_us + wait_us)

    def rest(self, bucket: ServedBucket, wait_us: int | None) -> None:
        """It has been served: it is due after this time, and not before. None: an event wakes it."""
        if bucket.aside_at(self.now_us):
            left_us = bucket.until_us - self.now_us  # what is set aside is for all again then
            wait_us = left_us if wait_us is None else min(wait_us, left_us)
        if wait_us is None:
            self.wakes.remove(bucket.name)
        else:
            self.wakes.set(bucket.name, self.now_us + wait_us)

    def wake_waiters(self, needs: tuple[Need, ...]) -> None:
        """Tokens are free earlier than the wakes say: the lines and claims that wait for them are due."""
        for bucket, _ in self.costs(needs):
            if bucket.order or bucket.claims:
                self.wake(bucket)

    def wake_rest(self, bucket: ServedBucket) -> None:
        """A line or a claim has left a bucket: what it kept from others is theirs to look at."""
        if bucket.order:
            self.wake(bucket)
        elif not bucket.claims:
            self.wakes.remove(bucket.name)
