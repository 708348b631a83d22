"""What a provider says is left lowers the bucket of a limit that several queues share, at its home, and never raises it."""

import random
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest
from redis.asyncio import Redis

from runner.limits import Limit, Quota, SlidingWindow, TokenBucket
from runner.store import Heard, Observation
from tests.store.builders import Clock
from tests.store.leasing import Shared, shared

WIDE = TokenBucket("api", rate="20/s", burst=60)
LIMITS: list[Limit] = [
    WIDE,
    TokenBucket("api", capacity=60, refill=20, every=1),
    SlidingWindow("api", 60, per=3),
    Quota("api", 200, per="hour"),
]
UNKNOWN = Observation("api", "", 0, 0, started_us=-1)


async def told(world: Shared, left: int, since: Heard | None) -> Heard:
    """A word to a call before which the home had said this last."""
    start = UNKNOWN if since is None else UNKNOWN._replace(started_us=since.at_us, levels=since.levels)
    (heard,) = await world.home.observe([start._replace(left=left)])
    return heard


async def at_home(world: Shared) -> int:
    """Tokens there, with those that are out."""
    (status,) = await world.home.limits("api", bucket="api")
    return next((bucket.tokens for bucket in status.buckets if bucket.bucket == "api"), world.limit.capacity)


async def ready(world: Shared, costs: str = "9x1") -> Heard:
    """Each queue has some tokens in hand, and the home has heard who tells."""
    first = await told(world, 0, None)
    assert first.lowered == 0, "the first word only sees to that the next ones know"
    assert first.levels
    for at in range(len(world.queues)):
        world.queues[at].costs = costs
        await world.exchange(at)
    return await told(world, 10**6, first)


async def test_tokens_that_are_out_count_as_in_the_bucket(redis: Redis, redis_url: str) -> None:
    async with shared(redis, redis_url, Clock(), WIDE) as world:
        before = await ready(world, "3x1")
        assert await at_home(world) == 60

        heard = await told(world, 40, before)
        assert (heard.lowered, await at_home(world)) == (60 - (40 - 6), 34), (
            "a tenth is left to others, and what is in hands is not taken off"
        )
        assert await world.start(0)
        await world.exchange(0)
        assert await at_home(world) == 33
        assert (await told(world, 1_000, heard)).lowered == 0
        assert await at_home(world) == 33, "nothing is raised"


async def test_what_was_used_since_the_call_began_is_taken_off_and_what_nobody_knows_is_ignored(redis: Redis, redis_url: str) -> None:
    async with shared(redis, redis_url, Clock(), WIDE) as world:
        before = await ready(world, "3x1")
        for _ in range(3):
            assert await world.start(1)
        await world.exchange(1)

        assert (await told(world, 50, before)).lowered == 57 - (50 - 3 - 6)
        assert (await told(world, 0, before._replace(levels=""))).lowered == -1
        assert (await told(world, 0, before._replace(at_us=before.at_us - 1))).lowered == -1, "began before the latest that was heard"
        assert await at_home(world) == 41


async def test_nothing_is_given_until_others_have_left_something(redis: Redis, redis_url: str) -> None:
    async with shared(redis, redis_url, Clock(), WIDE) as world:
        before = await ready(world, "")
        assert (await told(world, 0, before)).lowered == 66
        world.queues[0].costs = "1x1"
        answer = await world.exchange(0)
        assert answer is not None
        assert (answer.leased.granted, answer.leased.come_us) == (0, 350_000), "seven tokens, at 20 a second"


class Call(NamedTuple):
    """One of our calls: what the home had said before it began; and of its answer what is left, and what others had taken until then."""

    since: Heard | None
    left: int = 0
    others: int = 0


@dataclass
class Provider:
    """An account with the same numbers, of which others take too. It counts our calls when they come to it, in the order of their starts."""

    clock: Clock
    left: float = 60.0
    at_us: int = 0
    others: int = 0
    under_way: list[Call] = field(default_factory=list)
    answers: list[Call] = field(default_factory=list)

    def wait(self) -> None:
        """Refill until now."""
        gained = (self.clock.now_us - self.at_us) * 20 / 1_000_000 if self.at_us else 0
        self.left, self.at_us = min(self.left + gained, 60.0), self.clock.now_us

    def give_others(self, tokens: int) -> None:
        tokens = min(tokens, max(int(self.left), 0))
        self.left, self.others = self.left - tokens, self.others + tokens

    def count(self) -> None:
        """The next of our calls comes, and is answered; one for which nothing is left is refused, and says so."""
        self.left -= self.left >= 1
        self.answers.append(self.under_way.pop(0)._replace(left=int(self.left), others=self.others))


async def may_start(world: Shared, redis: Redis) -> float:
    """How many tokens all queues together may still use: those of the home and in hands, but for those used of which the home has not heard."""
    assert isinstance(world.limit, TokenBucket)
    out = int(await redis.hget(f"{world.home.keys.prefix}lease:api", "out") or 0)
    for at in range(len(world.queues)):
        await world.look(at)
    fresh = sum(hand.fresh for queue in world.queues for hand in queue.read[0].hands)
    return await world.free_at_home(redis) / world.limit.credits_a_token + out - fresh


@pytest.mark.parametrize("seed", range(6))
async def test_what_all_queues_may_still_start_is_never_more_than_what_the_provider_had_left(
    redis: Redis, redis_url: str, seed: int
) -> None:
    r = random.Random(seed)
    async with shared(redis, redis_url, Clock(), WIDE) as world:
        provider, last = Provider(world.clock), await ready(world)
        heard_words = 0
        for _ in range(250):
            step = r.choice(["move", "start", "start", "exchange", "exchange", "count", "count", "others", "tell"])
            provider.wait()
            if step == "move":
                world.clock.advance_us(r.choice([1_000, 20_000, 150_000]))
            elif step == "start" and await world.start(r.randrange(len(world.queues))):
                provider.under_way.append(Call(last))
            elif step == "exchange":
                await world.exchange(r.randrange(len(world.queues)))
            elif step == "count" and provider.under_way:
                provider.count()
            elif step == "others":
                provider.give_others(r.randrange(5))
            elif step == "tell" and provider.answers:
                call = provider.answers.pop(r.randrange(len(provider.answers)))
                last = await told(world, call.left, call.since)
                if last.lowered < 0:
                    continue
                heard_words += 1
                left = provider.left + provider.others - call.others  # what others have taken since then nobody can know
                assert await may_start(world, redis) <= max(left - len(provider.under_way), 0) + 1
        assert heard_words >= 5


@pytest.mark.parametrize("limit", LIMITS, ids=repr)
async def test_every_kind_is_lowered_and_gives_no_more_than_it_declares(redis: Redis, redis_url: str, limit: Limit) -> None:
    async with shared(redis, redis_url, Clock(), limit) as world:
        before = await ready(world)
        for left in (7, 3, 500, 0, 12):
            before = await told(world, left, before)
            assert await at_home(world) <= left
            for at in range(len(world.queues)):
                await world.exchange(at)
                while await world.start(at):
                    pass
            world.clock.advance_us(400_000)
        assert world.starts.excess(limit) <= 0
