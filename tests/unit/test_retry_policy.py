"""What an attempt comes to whose handler raised: the order of what decides, groups, the back-off, and errors that do their worst."""

import asyncio
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner import Backoff, GiveUp, RateLimited, Retry
from runner.errors import ConfigurationError
from runner.jobs import RetryPolicy, Throttle, verdict
from runner.jobs.job import Ending
from runner.limits import Word

NOW = 1_700_000_000.0
PLAIN = Backoff(base=8, factor=2, cap=100, jitter=0)
POLICY = RetryPolicy(retries=3, retry_on=(OSError, ValueError), dont_retry_on=(ConnectionError, UnicodeError), backoff=PLAIN)

WORTH_IT, NOT_IN_THE_LIST, RULED_OUT = OSError("disk"), KeyError("bug"), ConnectionResetError("ruled out")
GIVEN_UP, AGAIN, LIMITED = GiveUp("no such order"), Retry("not yet", delay=60), RateLimited("llm", retry_after=7)


def group(*errors: BaseException) -> BaseException:
    return BaseExceptionGroup("several", errors)


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "ending", "delay_s"),
    [
        (WORTH_IT, "retry", 8),
        (ValueError("x"), "retry", 8),
        (NOT_IN_THE_LIST, "failed", 0),
        (RULED_OUT, "failed", 0),
        (UnicodeDecodeError("utf-8", b"", 0, 1, "x"), "failed", 0),
        (SystemExit(1), "failed", 0),
        (GIVEN_UP, "failed", 0),
        (AGAIN, "retry", 60),
        (Retry("soon", delay=0), "retry", 0),
        (Retry("by the back-off"), "retry", 8),
        (LIMITED, "throttled", 0),
        # groups
        (group(WORTH_IT, ValueError("x")), "retry", 8),
        (group(WORTH_IT, NOT_IN_THE_LIST), "failed", 0),
        (group(WORTH_IT, RULED_OUT), "failed", 0),
        (group(group(group(WORTH_IT))), "retry", 8),
        (group(NOT_IN_THE_LIST, LIMITED, AGAIN, group(GIVEN_UP)), "failed", 0),
        (group(NOT_IN_THE_LIST, AGAIN, group(LIMITED)), "throttled", 0),
        (group(NOT_IN_THE_LIST, group(RULED_OUT, AGAIN)), "retry", 60),
        # causes
        (caused(KeyError("x"), RateLimited("llm")), "throttled", 0),
        (caused(Retry("my own wait", delay=5), RateLimited("llm")), "retry", 5),
        (caused(GiveUp("no"), RateLimited("llm")), "failed", 0),
        (caused(OSError("x"), GiveUp("of another call")), "retry", 8),
        (caused(KeyError("x"), Retry("of another call")), "failed", 0),
    ],
    ids=repr,
)
def test_the_first_that_applies_decides(error: BaseException, ending: str, delay_s: float) -> None:
    decided = verdict(error, POLICY, 0, NOW)

    assert (decided.ending, decided.delay_s) == (ending, delay_s)


@pytest.mark.parametrize(
    ("error", "recorded"),
    [
        (WORTH_IT, WORTH_IT),
        (group(WORTH_IT, GIVEN_UP), GIVEN_UP),
        (group(WORTH_IT, group(AGAIN)), AGAIN),
    ],
    ids=repr,
)
def test_the_error_that_decided_is_the_one_that_is_told(error: BaseException, recorded: BaseException) -> None:
    assert verdict(error, POLICY, 0, NOW).error is recorded


def test_a_group_without_a_last_word_is_told_as_it_is() -> None:
    several = group(WORTH_IT, NOT_IN_THE_LIST)

    assert verdict(several, POLICY, 0, NOW).error is several


def test_all_that_say_wait_are_told_with_their_waits() -> None:
    decided = verdict(group(RateLimited("a", retry_after=3), caused(KeyError(), RateLimited())), POLICY, 0, NOW)

    assert decided.throttles == [Throttle("a", Word(3.0)), Throttle(None, Word(None))]


def test_an_instant_that_a_provider_names_is_seen_from_now() -> None:
    (throttle,) = verdict(RateLimited(retry_after=NOW + 30), POLICY, 0, NOW).throttles

    assert throttle.word.seconds == pytest.approx(30)


@pytest.mark.parametrize("error", [WORTH_IT, AGAIN, Retry("x")], ids=repr)
@pytest.mark.parametrize(("retries", "failures", "ending"), [(0, 0, "failed"), (3, 2, "retry"), (3, 3, "failed"), (None, 9_999, "retry")])
def test_every_retry_counts_also_one_that_the_handler_asks_for(
    error: BaseException, retries: int | None, failures: int, ending: str
) -> None:
    policy = RetryPolicy(retries, backoff=PLAIN)

    assert verdict(error, policy, failures, NOW).ending == ending


def test_by_default_every_error_is_worth_a_retry() -> None:
    for error in (ValueError(), asyncio.CancelledError(), SystemExit(), KeyboardInterrupt(), group(GeneratorExit())):
        assert verdict(error, RetryPolicy(), 0, NOW).ending is Ending.retry


@pytest.mark.parametrize("delay", ["60", -1, float("nan"), float("inf"), True, 10**9, [60]], ids=repr)
def test_a_wait_that_is_none_is_a_failure_that_names_it(delay: object) -> None:
    decided = verdict(Retry("x", delay=delay), POLICY, 0, NOW)  # type: ignore[arg-type]

    assert (decided.ending, decided.delay_s) == (Ending.retry, 8)
    assert isinstance(decided.error, ConfigurationError)
    assert "Retry: delay is " in str(decided.error)


class _Meta(type):
    def __subclasscheck__(cls, subclass: type) -> bool:
        raise SystemExit

    def __instancecheck__(cls, instance: object) -> bool:
        raise SystemExit


class Hostile(Retry, metaclass=_Meta):
    def __getattribute__(self, name: str) -> Any:
        if name in ("delay", "__class__"):
            raise SystemExit
        return super().__getattribute__(name)


class HostileGroup(BaseExceptionGroup[BaseException]):
    @property
    def exceptions(self) -> tuple[BaseException, ...]:
        raise SystemExit


def test_an_error_that_does_its_worst_has_a_verdict_too() -> None:
    assert verdict(Hostile(), POLICY, 0, NOW).ending is Ending.retry
    assert verdict(group(Hostile()), POLICY, 3, NOW).ending is Ending.failed
    assert verdict(HostileGroup("x", [WORTH_IT]), RetryPolicy(), 0, NOW).ending is Ending.retry
    assert verdict(KeyError(), RetryPolicy(retry_on=(Hostile,)), 0, NOW).ending is Ending.failed


KINDS: list[type[BaseException]] = [
    Exception,
    OSError,
    ConnectionError,
    ConnectionResetError,
    ValueError,
    UnicodeError,
    KeyError,
    SystemExit,
]
kinds = st.lists(st.sampled_from(KINDS), max_size=3).map(tuple)
leaves = st.one_of(
    st.sampled_from(KINDS).map(lambda kind: kind("x")),
    st.builds(Retry, st.just("x"), delay=st.none() | st.integers(0, 9)),
    st.builds(GiveUp),
    st.builds(RateLimited, st.none() | st.just("llm")),
)
errors = st.recursive(leaves, lambda inner: st.lists(inner, min_size=1, max_size=4).map(lambda members: group(*members)), max_leaves=8)


def flat(error: BaseException) -> list[BaseException]:
    members = error.exceptions if isinstance(error, BaseExceptionGroup) else None
    return [error] if members is None else list(itertools.chain.from_iterable(map(flat, members)))


@given(errors, st.integers(0, 4) | st.none(), st.integers(0, 5), kinds, kinds)
def test_a_verdict_is_what_the_rules_say_in_their_order(
    error: BaseException,
    retries: int | None,
    failures: int,
    retry_on: tuple[type[BaseException], ...],
    dont_retry_on: tuple[type[BaseException], ...],
) -> None:
    policy = RetryPolicy(retries, retry_on, dont_retry_on, PLAIN)
    members = flat(error)
    is_left = retries is None or failures < retries
    again = [member for member in members if isinstance(member, Retry)]
    if any(isinstance(member, GiveUp) for member in members):
        expected = Ending.failed
    elif any(isinstance(member, RateLimited) for member in members):
        expected = Ending.throttled
    elif again:
        expected = Ending.retry if is_left else Ending.failed
    else:
        worth = all(isinstance(member, retry_on) and not isinstance(member, dont_retry_on) for member in members)
        expected = Ending.retry if worth and is_left else Ending.failed

    decided = verdict(error, policy, failures, NOW)

    assert decided.ending is expected
    assert decided.error in (error, *members)
    if expected is Ending.retry:
        asked = again[0].delay if again else None
        assert decided.delay_s == (PLAIN.ceiling_s(failures + 1) if asked is None else asked)
