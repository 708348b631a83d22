"""Several queues that share one limit, for the tests of the two scripts: every call by hand, in any order, lost or repeated, each clock its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from redis.asyncio import Redis

from runner.limits import BucketState, Limit, TokenBucket
from runner.settings import Settings
from runner.store import Deposit, Hand, Hands, Home, JobStore, Role, Told
from runner.store.answers import TakeAnswer
from tests.leftovers import immortal_keys, keys_of
from tests.starts import Starts
from tests.store.builders import Clock
from tests.topologies import queue_name


@dataclass
class Queue:
    """One queue: its store, what its two leaders read last, and the answers that are under way."""

    store: JobStore
    identity: str
    read: dict[int, Hands] = field(default_factory=dict)
    answers: list[Deposit] = field(default_factory=list)
    costs: str | None = ""
    """What it asks for; None: what its waiting jobs cost."""
    started: list[int] = field(default_factory=list)
    """Which of all starts were made here."""

    @property
    def partition(self) -> str:
        return f"{self.store.keys.queue}:{self.identity}"


@dataclass
class Shared:
    """The home of one limit, and the queues that share it."""

    limit: Limit
    home: Home
    queues: list[Queue]
    clock: Clock
    starts: Starts = field(default_factory=Starts)

    async def look(self, at: int, leader: int = 0) -> Hand | None:
        """What a leader reads of the bucket; None if there is nothing to tell yet."""
        queue = self.queues[at]
        found = await queue.store.exchange(queue.identity, [self.limit.name])
        queue.read[leader] = found
        return next(iter(found.hands), None)

    async def call(self, at: int, leader: int = 0, *, is_lost: bool = False) -> Deposit | None:
        """A leader tells what it read last, however long ago that was, and asks for what the queue wants."""
        queue = self.queues[at]
        found = queue.read.get(leader)
        if found is None:
            return None
        hands = [hand if queue.costs is None else hand._replace(costs=queue.costs) for hand in found.hands]
        home_us, answers = await self.home.lease(queue.partition, 1, hands)
        deposits = [Deposit(answer, found.now_us, home_us) for answer in answers if answer is not None]
        if not is_lost:
            queue.answers += deposits
        return deposits[0] if deposits else None

    async def deposit(self, at: int, number: int = -1) -> None:
        """Take in one of the answers, perhaps not for the first time."""
        queue = self.queues[at]
        if queue.answers:
            answer = queue.answers[number % len(queue.answers)]
            await queue.store.exchange(queue.identity, [self.limit.name], [answer])

    async def hear(self, at: int, redis: Redis, *, is_lost: bool = False) -> Told | None:
        """What the home told this queue between two calls."""
        queue = self.queues[at]
        words = await redis.lpop(self.home.keys.told(queue.partition))
        if not isinstance(words, bytes):
            return None
        bucket, first, *rest = words.decode().split(" ")
        told = Told(bucket, None if first == "recall" else int(first), rest == ["1"])
        if not is_lost:
            await queue.store.exchange(queue.identity, [self.limit.name], told=[told])
        return told

    async def exchange(self, at: int) -> Deposit | None:
        """All three, as they go as a rule."""
        await self.look(at)
        answer = await self.call(at)
        await self.deposit(at)
        return answer

    async def start(self, at: int, cost: int = 1) -> bool:
        """Start something in a queue; whether its hand had the tokens."""
        queue = self.queues[at]
        ticket = f"take:{len(self.starts.at_us)}"
        decision = await queue.store.take(ticket, f"{self.limit.name}={cost}", f"1|{self.limit.name}")
        if decision.state is TakeAnswer.taken:
            queue.started.append(len(self.starts.at_us))
            self.starts.add(self.clock.now_us, cost)
        return decision.state is TakeAnswer.taken

    async def settle(self, at: int, redis: Redis, number: int) -> None:
        """One of the starts of a queue has used a token less than it took. The hand is written as the scripts of the queue write it."""
        queue = self.queues[at]
        used = [start for start in queue.started if self.starts.costs[start] > 0]
        if not used:
            return
        start = used[number % len(used)]
        self.starts.costs[start] -= 1
        began_us = self.starts.at_us[start] + queue.store._now_us() - self.clock.now_us
        key = queue.store.keys.bucket(self.limit.name)
        less, told, since_us = (int(value or 0) for value in await redis.hmget(key, "less", "told_less", "less_since"))
        await redis.hset(key, mapping={"less": less + 1, "less_since": began_us if less == told else min(since_us, began_us)})
        await redis.sadd(queue.store.keys.leases, self.limit.name)

    async def free_at_home(self, redis: Redis) -> int:
        """Capacity less what is used and what is out, in credits of a bucket; negative if more was given than there is."""
        assert isinstance(self.limit, TokenBucket)
        out = int(await redis.hget(f"{self.home.keys.prefix}lease:{self.limit.name}", "out") or 0)
        deficit, time_us = await redis.hmget(self.home.keys.bucket(self.limit.name), "deficit", "time")
        state = BucketState(int(deficit or 0), int(time_us or 0)).refilled(self.limit, self.clock.now_us)
        return (self.limit.capacity - out) * self.limit.credits_a_token - state.deficit


def _ahead(clock: Clock, by_us: int) -> int:
    """A clock that is so much ahead of another one."""
    return clock.now_us + by_us


@asynccontextmanager
async def shared(redis: Redis, redis_url: str, clock: Clock, limit: Limit, queues: int = 3) -> AsyncIterator[Shared]:
    """A scope and queues of their own, whose clocks differ by seconds; their keys are checked and deleted."""
    scope = queue_name()
    limit = limit.in_scope(scope)
    settings = Settings(command_timeout_s=20)  # a machine that is busy loses no call here
    home = Home(redis_url, scope, settings, now_us=lambda: clock.now_us)
    await home.publish({}, [limit.in_scope(None)], role=Role.worker)
    made = []
    for at in range(queues):
        store = JobStore(redis_url, queue_name(), settings, now_us=partial(_ahead, clock, 7_000_000 * at - 5_000_000))
        await store.publish({}, [limit])
        made.append(Queue(store, f"id{at}"))
    names = [home.keys.queue, *(queue.store.keys.queue for queue in made)]
    try:
        yield Shared(limit, home, made, clock)
        immortal = [key for name in names for key in await immortal_keys(redis, name)]
        assert not immortal, f"keys without a TTL: {immortal}"
    finally:
        await home.close()
        for queue in made:
            await queue.store.close()
        for name in names:
            if keys := await keys_of(redis, name):
                await redis.delete(*keys)
