"""`top`: the words, signs and columns of the home view on a terminal."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from runner.cli import overview_text
from runner.cli.live import screen_of
from runner.cli.top import view
from runner.limits import Limit, LimitState, Override, Pause, Quota, TokenBucket
from runner.store import BucketCounts, Leader, LimitOverview, Overview, Slots

NOW = datetime(2026, 11, 28, 14, 41, 2, tzinfo=UTC)


def limit(name: str, state: LimitState = LimitState.idle, *, of: Limit | None = None, **fields: Any) -> LimitOverview:
    code = TokenBucket(name, rate="10/s", burst=20) if of is None else of
    told: dict[str, Any] = {"bucket": name, "tokens": 20, "next_token_s": 0.0, "frozen_s": 0.0, "frozen_by": None, "waiting": 0}
    told |= {"waiting_is_estimate": False, "oldest_wait_s": None, "clears_in_s": 0.0, "started_s": 0.0, "taken_s": 0.0, "throttled_min": 0}
    told |= {"override": None, "paused": None, "state_since": None, "buckets": BucketCounts(1, 1, 0)}
    return LimitOverview(policy=code, code=code, state=state, **(told | fields))


def overview(*limits: LimitOverview, **fields: Any) -> Overview:
    waiting = sum(one.waiting for one in limits)
    jobs = {"waiting": waiting, "queued": 0, "scheduled": 0, "running": 3, "succeeded": 0, "failed": 0, "cancelled": 0, "expired": 0}
    told: dict[str, Any] = {
        "jobs": jobs,
        "reasons": {"tokens": waiting},
        "slots": Slots(3, 10, 0),
        "workers": 1,
        "leader": Leader("w-1", 0.1),
    }
    told |= {"paused": None, "started_s": 9.5, "finished_min": 1_714, "failed_min": 2, "oldest_wait_s": None, "more": 0}
    return Overview(at=NOW, queue="shop", limits=limits, **(told | fields))


STRIPE = limit("stripe", LimitState.at_limit, tokens=0, waiting=610, oldest_wait_s=56.0, clears_in_s=61.0, started_s=10.0)
LEGACY = limit("legacy", LimitState.paused, waiting=42, clears_in_s=None, paused=Pause(NOW, "migration", "cli:ana"))


def test_the_page_says_first_what_waits_and_until_when() -> None:
    told = view(overview(STRIPE, LEGACY))

    assert told[0] == "shop   14:41:02Z   1 worker   leader w-1, refilled 0.1 s ago"
    assert told[1] == "652 jobs wait at 2 limits. The lines that move are clear in 1 min 1 s. legacy stays shut until somebody resumes it."
    assert told[2] == "waiting 652 (tokens 652)   running 3 of 10 slots   starts 9.5/s   finished 1,714/min   failed 2/min"
    assert told[4].split() == [
        *["LIMIT", "ALLOWS", "TOKENS", "TOKENS|LINE", "WAITING", "OLDEST", "CLEARS", "IN", "STARTS/S", "STATE", "SET", "BY"]
    ]
    assert [line.split()[0] for line in told[5:]] == ["stripe", "legacy"]
    assert "cli:ana: migration" in told[6]


def test_a_quiet_queue_is_said_to_be_one() -> None:
    assert overview_text.sentence(overview()) == "No job waits, and 3 jobs run."
    assert view(overview())[-1] == "no limits: no worker of this queue has published any"


@pytest.mark.parametrize(
    ("one", "drawn"),
    [
        (limit("x"), "██████│            "),
        (STRIPE, "      │██████      "),
        (limit("x", LimitState.at_limit, tokens=10, waiting=1_000_000), "   ███│████████████"),
        (LEGACY, "██████‖▒▒▒▒        "),
        (limit("x", LimitState.frozen, tokens=0, waiting=9), "      ❄▒▒          "),
        (limit("x", tokens=None), "      │            "),
    ],
)
def test_tokens_and_line_meet_at_a_gate(one: LimitOverview, drawn: str) -> None:
    assert overview_text.balance(one) == drawn


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (limit("x"), "○ idle"),
        (limit("x", LimitState.flowing), "» flowing"),
        (limit("x", LimitState.slots_full), "■ slots full"),
        (limit("x", LimitState.frozen, frozen_s=22.0), "❄ frozen for 22 s"),
        (limit("x", LimitState.spent, of=Quota("x", 5, per="day"), next_token_s=7_200.0), "▁ spent, next period in 2 h"),
        (
            limit("x", LimitState.at_limit, of=TokenBucket("x", rate="1/s", key="{t}"), buckets=BucketCounts(None, None, 41)),
            "▐ at limit in 41",
        ),
        (limit("x", LimitState.no_worker), "△ no worker"),
    ],
)
def test_each_state_has_its_sign_and_its_word(one: LimitOverview, told: str) -> None:
    assert overview_text.state(one) == told
    assert set(overview_text.SIGNS) == set(LimitState)


def test_what_stands_still_is_never_said_to_be_clear_soon() -> None:
    assert overview_text.clears_in(LEGACY) == "paused"
    assert overview_text.clears_in(limit("x", LimitState.slots_full, waiting=3, clears_in_s=None)) == "unknown"
    assert overview_text.clears_in(STRIPE) == "1 min 1 s"
    assert overview_text.clears_in(limit("x")) == ""


def test_who_set_it_is_told_with_why() -> None:
    override = Override(TokenBucket("x", rate="25/s"), NOW, NOW, "sale", "key 4f6a ana")
    assert overview_text.set_by(limit("x", override=override)) == "key 4f6a ana until 14:41:02Z: sale"
    assert (
        overview_text.set_by(limit("x", override=replace(override, until=None, by="", reason="")))
        == "somebody until restored: no reason given"
    )
    assert overview_text.set_by(limit("x", frozen_by="the provider of job 7 said wait")) == "the provider of job 7 said wait"


def test_what_a_key_may_not_see_is_left_out() -> None:
    hidden = overview(STRIPE, jobs=None, reasons=None, slots=None, workers=None, leader=None, finished_min=None, failed_min=None)

    told = view(hidden)

    assert told[:3] == ["shop   14:41:02Z", "1 limit with a line.", "starts 9.5/s"]


def test_as_many_limits_are_shown_as_there_is_room_and_the_others_counted() -> None:
    told = view(overview(*(limit(f"l{n}") for n in range(20)), more=7), most=16)

    assert (len(told), told[-1]) == (16, "and 17 limits more")


def test_a_line_is_as_long_as_the_screen_and_cannot_move_its_cursor() -> None:
    screen = screen_of(["a\x1b[2Jlong line", "second", "third"], "NOT CONNECTED", 8, 3)

    assert screen.plain.splitlines() == ["NOT CONN", "a\\x1b[2J", "second"]
