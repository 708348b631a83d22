"""What callers are told, in the syntax of draft-ietf-httpapi-ratelimit-headers-11 and RFC 9651."""

import json
import re

import pytest

from runner import Quota, SlidingWindow, TokenBucket
from runner.asgi.allowance import Allowance
from runner.asgi.request_limiter import verdict_of
from runner.asgi.response_fields import problem_document, rate_limit_fields
from runner.asgi.verdict import Standing, Verdict
from runner.limits import Limit, Need
from runner.limits.retry_after import read
from runner.store.answers import TakeAnswer
from runner.store.replies import Decision

ITEM = r'"[A-Za-z0-9_.-]+"(;[a-z]+=\d{1,15})+'


def told(verdict: Verdict) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in rate_limit_fields(verdict)}


@pytest.mark.parametrize(
    ("limit", "policy"),
    [
        (TokenBucket("a", capacity=5, refill=5, every=60), '"a";q=5;w=60'),
        (TokenBucket("a", capacity=10, refill=2, every=10), '"a";q=10;w=50'),
        (TokenBucket("a", rate="100/min"), '"a";q=100;w=60'),
        (TokenBucket("a", rate="100/min", burst=20), '"a";q=20;w=12'),
        (TokenBucket("a", rate="10/s", burst=1), '"a";q=10;w=1'),
        (TokenBucket("a", rate="10/s", burst=25), '"a";q=25;w=3'),
        (SlidingWindow("a", 100, per=60), '"a";q=100;w=60'),
        (SlidingWindow("a", 3, per=0.5), '"a";q=6;w=1'),
        (Quota("a.b-c_d", 1000, per="day"), '"a.b-c_d";q=1000;w=86400'),
    ],
)
def test_the_policy_is_what_a_full_bucket_holds_and_the_time_it_fills_in(limit: Limit, policy: str) -> None:
    verdict = Verdict("admitted", (Standing(Allowance.of(limit), 1, 1),))

    assert told(verdict)["ratelimit-policy"] == policy


@pytest.mark.parametrize(
    ("limit", "left", "next_s", "effective_s"),
    [
        (TokenBucket("a", capacity=5, refill=5, every=60), 0, 41.2, 42),
        (TokenBucket("a", capacity=5, refill=5, every=60), 4, 60.0, 60),
        (TokenBucket("a", capacity=5, refill=5, every=60), 5, 0.0, 60),
        (TokenBucket("a", rate="10/s", burst=20), 0, 0.1, 1),
        (TokenBucket("a", rate="10/s", burst=20), 19, 0.1, 2),
        (SlidingWindow("a", 5, per=60), 4, 60.000001, 60),
        (Quota("a", 1000, per="day"), 900, 0.0, 77_760),
        (Quota("a", 1000, per="day"), 900, 3_600.0, 3_600),
    ],
)
def test_the_effective_window_never_suggests_more_than_the_average_rate(limit: Limit, left: int, next_s: float, effective_s: int) -> None:
    assert Allowance.of(limit).effective_s(left, next_s) == effective_s


def decided(state: str, wait_s: float | None, bucket: str = "", reason: str = "tokens") -> Verdict:
    limits = (SlidingWindow("daily", 1000, per=86_400), TokenBucket("user", rate="6/min", key="{user}"))
    allowances = {limit.name: Allowance.of(limit) for limit in limits}
    needs = [Need("daily", 1), Need("user/ada", 3)]
    return verdict_of(Decision(TakeAnswer(state), wait_s, bucket, reason, [(500, 20.0), (2, 3.5)]), needs, allowances)


def test_an_admitted_request_is_told_how_all_its_limits_stand() -> None:
    assert told(decided("taken", 0.0)) == {
        "ratelimit-policy": '"daily";q=1000;w=86400, "user";q=6;w=60',
        "ratelimit": '"daily";r=500;t=43200, "user";r=2;t=20',
    }


def test_every_field_is_a_list_of_strings_with_integers() -> None:
    for verdict in (decided("taken", 0.0), decided("refused", 13.2, "user/ada")):
        fields = told(verdict)
        assert re.fullmatch(rf"{ITEM}(, {ITEM})*", fields["ratelimit"])
        assert re.fullmatch(rf"{ITEM}(, {ITEM})*", fields["ratelimit-policy"])


def test_a_refused_request_is_told_when_to_come_back_rounded_up() -> None:
    verdict = decided("refused", 13.2, "user/ada")

    assert verdict.status == 429
    assert told(verdict)["retry-after"] == "14"
    assert told(verdict)["ratelimit"] == '"daily";r=500;t=43200, "user";r=2;t=14'


def test_it_is_never_told_to_come_back_at_once() -> None:
    assert told(decided("refused", 0.000001, "user/ada"))["retry-after"] == "1"


def test_no_violated_window_ends_after_the_time_to_come_back() -> None:
    verdict = decided("refused", 100.0, "daily")

    assert verdict.violated == ("daily", "user")
    assert {s.allowance.limit: s.effective_s for s in verdict.standings} == {"daily": 100, "user": 20}


def test_the_problem_names_the_violated_policies_and_never_the_callers_key() -> None:
    body = problem_document(decided("refused", 13.2, "user/ada"))

    assert b"ada" not in body
    assert json.loads(body) == {
        "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
        "title": "Request cannot be satisfied as assigned quota has been exceeded",
        "status": 429,
        "detail": "Limit 'user' allows 6 in 60 s. Try again in 14 s.",
        "violated-policies": ["user"],
    }


@pytest.mark.parametrize(("reason", "wait_s", "again_s"), [("paused", None, 30), ("frozen", 7.1, 8), ("unpublished", 1.0, 1)])
def test_what_is_not_the_callers_fault_is_reduced_capacity(reason: str, wait_s: float | None, again_s: int) -> None:
    verdict = decided("refused", wait_s, "user/ada", reason)
    document = json.loads(problem_document(verdict))

    assert verdict.status == document["status"] == 503
    assert document["type"].endswith("#temporary-reduced-capacity")
    assert document["violated-policies"] == ["user"]
    assert told(verdict) == {"retry-after": str(again_s)}


def test_a_handler_of_this_library_understands_them() -> None:
    fields = told(decided("refused", 13.2, "user/ada"))

    assert read(fields, 0.0).seconds == 14
    assert read({"RateLimit": '"a";r=0;t=9'}, 0.0).seconds == 9
