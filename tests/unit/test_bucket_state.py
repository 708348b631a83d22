"""The arithmetic of a bucket against a model that counts whole tokens and fractions of them, one landing after the other."""

from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runner.limits import EXACT, BucketState, TokenBucket

START_US = 1_700_000_000_000_000


class SmoothModel:
    """A level of tokens that rises continuously up to the capacity."""

    def __init__(self, policy: TokenBucket) -> None:
        self.capacity = policy.capacity
        self.tokens_a_us = Fraction(policy.refill, policy.every_us)
        self.level = Fraction(policy.capacity)
        self.at_us = START_US

    def move(self, now_us: int) -> None:
        self.level = min(self.level + (now_us - self.at_us) * self.tokens_a_us, Fraction(self.capacity))
        self.at_us = now_us

    def wait_us(self, cost: int) -> int:
        lacks = cost - self.level
        return 0 if lacks <= 0 else -(-lacks // self.tokens_a_us)

    def take(self, cost: int) -> None:
        self.level -= cost


class IntervalModel:
    """Whole tokens in a bucket; from the first one taken out of a full bucket, `refill` of them land at each end of an interval."""

    def __init__(self, policy: TokenBucket) -> None:
        self.policy = policy
        self.tokens = policy.capacity
        self.at_us = START_US
        self.landing_us = 0

    def move(self, now_us: int) -> None:
        self.at_us = now_us
        while self.tokens < self.policy.capacity and self.landing_us <= now_us:
            self.tokens = min(self.tokens + self.policy.refill, self.policy.capacity)
            self.landing_us += self.policy.every_us

    def wait_us(self, cost: int) -> int:
        tokens, wait_us = self.tokens, 0
        while tokens < cost:
            wait_us = self.landing_us - self.at_us if wait_us == 0 else wait_us + self.policy.every_us
            tokens += self.policy.refill
        return wait_us

    def take(self, cost: int) -> None:
        if self.tokens == self.policy.capacity:
            self.landing_us = self.at_us + self.policy.every_us
        self.tokens -= cost


def model_of(policy: TokenBucket) -> SmoothModel | IntervalModel:
    return SmoothModel(policy) if policy.smooth else IntervalModel(policy)


def smooth(tokens: int, every: int, burst: int) -> TokenBucket:
    return TokenBucket("x", rate=f"{tokens}/{every}ms", burst=burst)


def interval(capacity: int, refill: int, every_us: int) -> TokenBucket:
    return TokenBucket("x", capacity=capacity, refill=refill, every=every_us / 1e6)


policies = st.one_of(
    st.builds(smooth, st.integers(1, 5000), st.integers(1, 100_000), st.integers(1, 50)),
    st.builds(interval, st.integers(1, 50), st.integers(1, 60), st.integers(1, 20_000_000)),
)
moves = st.one_of(st.integers(0, 100), st.integers(0, 30_000_000))
histories = st.lists(st.tuples(moves, st.integers(1, 60)), max_size=40)


@given(policy=policies, history=histories)
def test_the_bucket_holds_what_the_model_holds(policy: TokenBucket, history: Sequence[tuple[int, int]]) -> None:
    state, model, now_us = BucketState(), model_of(policy), START_US
    for move_us, wanted in history:
        now_us += move_us
        cost = min(wanted, policy.capacity)
        state = state.refilled(policy, now_us)
        model.move(now_us)
        assert state.wait_us(policy, cost, now_us) == model.wait_us(cost)
        if model.wait_us(cost) == 0:
            state = state.taken(policy, cost)
            model.take(cost)
        assert 0 <= state.deficit <= policy.capacity * policy.credits_a_token


@given(policy=policies, history=histories)
def test_a_token_lands_at_the_microsecond_it_was_announced_for(policy: TokenBucket, history: Sequence[tuple[int, int]]) -> None:
    state, now_us = BucketState(), START_US
    for move_us, wanted in history:
        now_us += move_us
        cost = min(wanted, policy.capacity)
        state = state.refilled(policy, now_us)
        wait_us = state.wait_us(policy, cost, now_us)
        if wait_us > 0:
            assert state.refilled(policy, now_us + wait_us - 1).wait_us(policy, cost, now_us + wait_us - 1) == 1
        assert state.refilled(policy, now_us + wait_us).wait_us(policy, cost, now_us + wait_us) == 0
        if wait_us == 0:
            state = state.taken(policy, cost)


@given(
    policy=policies, spent=st.integers(0, 50), looks=st.lists(st.integers(0, 10_000_000), max_size=20), then_us=st.integers(0, 10_000_000)
)
def test_who_refills_and_how_often_does_not_matter(policy: TokenBucket, spent: int, looks: Sequence[int], then_us: int) -> None:
    often = once = BucketState(min(spent, policy.capacity) * policy.credits_a_token, START_US)
    for look_us in sorted(looks):
        often = often.refilled(policy, START_US + look_us)
        assert often.refilled(policy, START_US + look_us) == often
    end_us = START_US + max([then_us, *looks])

    assert often.refilled(policy, end_us) == once.refilled(policy, end_us)


@given(policy=policies, spent=st.integers(1, 50), back_us=st.integers(1, 10**10), passed_us=st.integers(0, 20_000_000))
def test_a_clock_that_goes_back_gives_nothing_and_freezes_nothing(policy: TokenBucket, spent: int, back_us: int, passed_us: int) -> None:
    state = BucketState(min(spent, policy.capacity) * policy.credits_a_token, START_US).refilled(policy, START_US + passed_us)
    back = state.refilled(policy, START_US + passed_us - back_us)

    assert back.deficit == state.deficit
    assert back.time_us <= START_US + passed_us - back_us
    at_most_us = state.wait_us(policy, 1, START_US + passed_us) + policy.step_us
    assert back.wait_us(policy, 1, START_US + passed_us - back_us) <= at_most_us


def test_nothing_stored_is_a_full_bucket() -> None:
    policy = interval(5, 1, 1_000_000)

    assert BucketState().refilled(policy, START_US) == BucketState(0, START_US)
    assert BucketState().refilled(policy, START_US).wait_us(policy, 5, START_US) == 0


def test_a_freeze_lasts_until_its_end_and_the_tokens_land_meanwhile() -> None:
    policy = interval(2, 1, 1_000_000)
    state = BucketState(1, START_US, START_US + 5_000_000)

    assert state.refilled(policy, START_US).wait_us(policy, 1, START_US) == 5_000_000
    thawed = state.refilled(policy, START_US + 5_000_000)
    assert thawed.wait_us(policy, 2, START_US + 5_000_000) == 0


def test_a_refill_dated_after_a_freeze_is_not_taken_for_a_clock_gone_back() -> None:
    policy = interval(2, 1, 1_000_000)
    frozen = BucketState(1, START_US + 5_000_000, START_US + 5_000_000)

    assert frozen.refilled(policy, START_US) == frozen
    assert frozen.refilled(policy, START_US + 5_999_999).wait_us(policy, 2, START_US + 5_999_999) == 1


def test_a_cost_above_a_lowered_capacity_waits_for_a_full_bucket_and_leaves_a_debt() -> None:
    policy = interval(3, 1, 1_000_000)
    full = BucketState().refilled(policy, START_US)
    assert full.wait_us(policy, 5, START_US) == 0

    debt = full.taken(policy, 5)

    assert debt.wait_us(policy, 1, START_US) == 3_000_000
    assert BucketState(1, START_US).wait_us(policy, 5, START_US) == 1_000_000


@pytest.mark.parametrize(
    "policy", [interval(EXACT // 1024 - 1, EXACT // 1024 - 1, 10**12), TokenBucket("x", rate="1/8000000s", burst=280)], ids=str
)
@given(spent=st.integers(0, EXACT // 4), passed_us=st.integers(0, 10**15))
@example(spent=EXACT // 4 - 1, passed_us=10**12 - 1)
@settings(max_examples=50)
def test_the_largest_numbers_stay_exact_in_a_double(policy: TokenBucket, spent: int, passed_us: int) -> None:
    """All that the scripts compute on the way is below 2^53 too."""
    deficit = min(spent, policy.capacity * policy.credits_a_token)
    state = BucketState(deficit, START_US).refilled(policy, START_US + passed_us)

    assert max(deficit + policy.capacity * policy.credits_a_token, state.deficit, state.time_us) < EXACT
    steps = passed_us // policy.step_us
    assert int(float(passed_us) // float(policy.step_us)) == steps
    if steps < -(-deficit // policy.credits_a_step):
        assert steps * policy.credits_a_step < EXACT
        assert float(deficit) - float(steps) * float(policy.credits_a_step) == state.deficit
