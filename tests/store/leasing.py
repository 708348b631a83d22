"""Several queues that share one limit, for the tests of the two scripts: every call by hand, in any order, lost or repeated, each clock its own."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from redis.asyncio import Redis

from runner.limits import BucketState, Limit, TokenBucket
from runner.settings import Settings
from runner.store import Ask, Deposit, Hand, Hands, Home, JobStore, LeaseAnswer, Role, Told
from runner.store.answers import TakeAnswer
from runner.store.hands import told_by
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
    asks: dict[tuple[str, ...], str] = field(default_factory=dict)
    """What jobs cost that need several buckets, by their names."""
    started: list[int] = field(default_factory=list)
    """Which of all starts were made here."""

    @property
    def partition(self) -> str:
        return f"{self.store.keys.queue}:{self.identity}"

    async def word(self, home: Home, redis: Redis) -> Told | None:
        """The next that the home has told this queue between two calls."""
        words = await redis.lpop(home.keys.told(self.partition))
        return told_by(words.decode()) if isinstance(words, bytes) else None


MOVES_US = [0, 300, 4_000, 10_000, 70_000, 400_000, 1_100_000, 1_960_000, 2_100_000, 5_000_000]
Step = tuple[str, int, int, int]
"""What is done, by which queue, by which of its leaders, and a number that chooses."""


async def play_call(world: "Shared | Joint", redis: Redis, step: Step) -> None:
    """A step of the time, or one of the calls that queues and their home make, in whatever order and however often."""
    what, at, leader, number = step
    if what == "move":
        world.clock.advance_us(MOVES_US[number % len(MOVES_US)])
    elif what == "look":
        await world.look(at, leader)
    elif what in ("call", "lose"):
        await world.call(at, leader, is_lost=what == "lose")
    elif what == "deposit":
        await world.deposit(at, number)
    elif what in ("hear", "deaf"):
        await world.hear(at, redis, is_lost=what == "deaf")
    else:
        assert what == "exchange"
        await world.exchange(at)


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
        answer = await self.home.lease(queue.partition, 1, hands)
        deposits = [Deposit(leased, found.now_us, answer.home_us) for leased in answer.hands if leased is not None]
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
        told = await queue.word(self.home, redis)
        if told is not None and not is_lost:
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
        return await free_of(self.home, self.limit, self.clock, redis)


async def free_of(home: Home, limit: TokenBucket, clock: Clock, redis: Redis) -> int:
    """The same of one of several limits."""
    out = int(await redis.hget(f"{home.keys.prefix}lease:{limit.name}", "out") or 0)
    deficit, time_us = await redis.hmget(home.keys.bucket(limit.name), "deficit", "time")
    state = BucketState(int(deficit or 0), int(time_us or 0)).refilled(limit, clock.now_us)
    return (limit.capacity - out) * limit.credits_a_token - state.deficit


@dataclass
class Joint:
    """The home of several limits, and the queues that share them: their jobs need all of them, or some."""

    limits: Sequence[Limit]
    home: Home
    queues: list[Queue]
    clock: Clock
    starts: dict[str, Starts]

    async def look(self, at: int, leader: int = 0) -> Hands:
        queue = self.queues[at]
        queue.read[leader] = await queue.store.exchange(queue.identity, [limit.name for limit in self.limits])
        return queue.read[leader]

    async def call(self, at: int, leader: int = 0, *, is_lost: bool = False) -> LeaseAnswer | None:
        """As `Shared.call`. What the queue really has waiting counts unless the test says what it asks for."""
        queue = self.queues[at]
        found = queue.read.get(leader)
        if found is None:
            return None
        asks = [Ask(buckets, costs=costs) for buckets, costs in queue.asks.items()] or list(found.asks)
        answer = await self.home.lease(queue.partition, 1, found.hands, asks)
        if not is_lost:
            queue.answers += [Deposit(leased, found.now_us, answer.home_us) for leased in answer.hands if leased is not None]
        return answer

    async def deposit(self, at: int, number: int = -1) -> None:
        """Take in the answers about two buckets, perhaps not for the first time, and perhaps not of one call."""
        queue = self.queues[at]
        if queue.answers:
            which = [queue.answers[(number - back) % len(queue.answers)] for back in range(len(self.limits))]
            await queue.store.exchange(queue.identity, [limit.name for limit in self.limits], which)

    async def hear(self, at: int, redis: Redis, *, is_lost: bool = False) -> Told | None:
        queue = self.queues[at]
        told = await queue.word(self.home, redis)
        if told is not None and not is_lost and told.granted is not None:
            await queue.store.exchange(queue.identity, [limit.name for limit in self.limits], told=[told])
        return told

    async def exchange(self, at: int) -> LeaseAnswer | None:
        await self.look(at)
        answer = await self.call(at)
        await self.deposit(at)
        return answer

    async def start(self, at: int, **costs: int) -> bool:
        """Start something that needs so many tokens of these limits."""
        needs = sorted(costs.items())
        ticket = f"take:{sum(len(starts.at_us) for starts in self.starts.values())}"
        limits, line = ";".join(f"{name}={cost}" for name, cost in needs), "1|" + ";".join(name for name, _ in needs)
        decision = await self.queues[at].store.take(ticket, limits, line)
        for name, cost in needs if decision.state is TakeAnswer.taken else ():
            self.starts[name].add(self.clock.now_us, cost)
        return decision.state is TakeAnswer.taken

    async def check(self, redis: Redis) -> None:
        """That no limit is exceeded, and none could be if all that is out was used now."""
        for limit in self.limits:
            if isinstance(limit, TokenBucket):
                assert await free_of(self.home, limit, self.clock, redis) >= 0
            assert self.starts[limit.name].excess(limit) <= 0


def _ahead(clock: Clock, by_us: int) -> int:
    """A clock that is so much ahead of another one."""
    return clock.now_us + by_us


@asynccontextmanager
async def shared(redis: Redis, redis_url: str, clock: Clock, limit: Limit, queues: int = 3) -> AsyncIterator[Shared]:
    """A scope and queues of their own, whose clocks differ by seconds; their keys are checked and deleted."""
    async with jointly(redis, redis_url, clock, [limit], queues) as joint:
        yield Shared(joint.limits[0], joint.home, joint.queues, clock)


@asynccontextmanager
async def jointly(redis: Redis, redis_url: str, clock: Clock, limits: Sequence[Limit], queues: int = 3) -> AsyncIterator[Joint]:
    """The same with several limits."""
    scope = queue_name()
    limits = [limit.in_scope(scope) for limit in limits]
    settings = Settings(command_timeout_s=20)  # a machine that is busy loses no call here
    home = Home(redis_url, scope, settings, now_us=lambda: clock.now_us)
    await home.publish({}, [limit.in_scope(None) for limit in limits], role=Role.worker)
    made = []
    for at in range(queues):
        store = JobStore(redis_url, queue_name(), settings, now_us=partial(_ahead, clock, 7_000_000 * at - 5_000_000))
        await store.publish({}, limits)
        made.append(Queue(store, f"id{at}"))
    names = [home.keys.queue, *(queue.store.keys.queue for queue in made)]
    try:
        yield Joint(limits, home, made, clock, {limit.name: Starts() for limit in limits})
        immortal = [key for name in names for key in await immortal_keys(redis, name)]
        assert not immortal, f"keys without a TTL: {immortal}"
    finally:
        await home.close()
        for queue in made:
            await queue.store.close()
        for name in names:
            if keys := await keys_of(redis, name):
                await redis.delete(*keys)
