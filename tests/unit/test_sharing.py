"""Limits that several queues share, as they are declared."""

import logging

import pytest

from runner import Concurrency, JobStatus, Limit, QueuePace, Quota, Runner, SlidingWindow, State, TakeRefused, TokenBucket
from runner.asgi.allowance import Allowance
from runner.asgi.request_limiter import verdict_of
from runner.asgi.response_fields import rate_limit_fields
from runner.asgi.short_waits import ShortWaits
from runner.cli.simulate.text import share_words
from runner.errors import ConfigurationError
from runner.http.job_documents import job_document
from runner.http_client.documents import job_of
from runner.limits import limit_of, limit_of_document, need_of
from runner.store import Decision, TakeAnswer

LIMITS: list[Limit] = [
    TokenBucket("api", rate="10/s", burst=5, shared=True),
    TokenBucket("api", capacity=6, refill=2, every=1.5, key="{tenant}", shared="acme"),
    Quota("api", 100, per="day", tz="Europe/Berlin", shared=True),
    SlidingWindow("api", 60, per=60, jitter=0.25, key="{tenant}", shared=True),
]


@pytest.mark.parametrize("limit", LIMITS)
def test_a_shared_limit_comes_back_from_what_was_published_and_from_its_document(limit: Limit) -> None:
    assert limit_of(limit.published()) == limit
    assert limit_of_document("api", limit.document()) == limit
    assert limit.published()["kind"] == "leased"
    assert repr(limit).endswith("shared=True)" if limit.shared == "shared" else "shared='acme')")


@pytest.mark.parametrize("limit", LIMITS)
def test_at_its_home_a_shared_limit_is_what_it_is(limit: Limit) -> None:
    at_home = limit.in_scope(None)

    assert at_home.published()["kind"] == limit.kind
    assert limit_of(limit.published()["of"]) == at_home
    assert at_home != limit


@pytest.mark.parametrize("shared", ["", "a b", "x" * 58, 3, "limits/x"])
def test_a_scope_that_names_no_key_space_is_refused(shared: object) -> None:
    with pytest.raises(ConfigurationError, match="shared="):
        TokenBucket("api", rate="10/s", shared=shared)  # type: ignore[arg-type] # that is the point


def test_a_kind_that_cannot_be_shared_says_why() -> None:
    with pytest.raises(ConfigurationError, match="a Concurrency cannot be shared by several queues: "):
        Concurrency("api", 3, shared=True)  # type: ignore[call-arg] # that is the point


def test_options_that_need_the_bucket_at_hand_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="cannot adapt"):
        TokenBucket("api", rate="10/s", adapt=True, shared=True)
    with pytest.raises(ConfigurationError, match='cannot have on_exhausted="fail"'):
        Quota("api", 100, per="day", on_exhausted="fail", shared=True)
    with pytest.raises(ConfigurationError, match="cannot have jitter"):
        Quota("api", 100, per="day", jitter=1, shared=True)


def test_shared_limits_of_one_task_have_one_scope() -> None:
    jobs = Runner("shop")
    with pytest.raises(ConfigurationError, match=r"task 'work' has limits that are shared in several scopes \(acme, shared\)"):

        @jobs.task(limits=[TokenBucket("a", rate="1/s", shared=True), TokenBucket("b", rate="1/s", shared="acme")])
        async def work() -> None: ...


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("unled", "now (no worker leads its queue: start one)"),
        ("away", "now (its home does not answer: see runner doctor)"),
        ("tokens", "now (tokens); try again in about 0.5 s"),
    ],
)
def test_who_is_refused_at_a_shared_limit_is_told_whom_to_wait_for(reason: str, said: str) -> None:
    assert said in str(TakeRefused("pay", reason, 0.5))


@pytest.mark.parametrize("queue", ["limits.shared", "limits.acme", "limits."])
def test_an_app_has_no_queue_in_the_key_space_of_a_home(queue: str) -> None:
    with pytest.raises(ConfigurationError, match=f"'{queue}' is the home of the limits that are shared in scope"):
        Runner(queue)


@pytest.mark.parametrize("share", [0, -1, 1.5, True])
def test_a_share_that_is_no_number_of_turns_is_refused(share: object) -> None:
    with pytest.raises(ConfigurationError, match="share"):
        Runner("shop", share=share)  # type: ignore[arg-type] # that is the point


def test_a_burst_of_one_token_is_warned_of_where_it_costs_a_part_of_the_rate(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        TokenBucket("slow", rate="20/s", burst=1, shared=True)
        TokenBucket("own", rate="100/s", burst=1)
        assert not caplog.records
        TokenBucket("fast", rate="21/s", burst=1, shared=True)
    assert "limit fast is shared and has a burst of 1" in caplog.text


SHARED = {"api": Allowance.of(TokenBucket("api", rate="10/s", burst=2, shared=True)), "own": Allowance.of(TokenBucket("own", rate="10/s"))}


def refused(bucket: str = "api", reason: str = "tokens") -> Decision:
    return Decision(TakeAnswer.refused, 0.4, bucket, reason, [(0, 0.0), (3, 0.0)])


def test_only_requests_that_lack_tokens_of_a_shared_limit_stand_in_line_and_no_more_than_it_can_hold_tokens() -> None:
    waits = ShortWaits()
    assert not waits.has_room(refused("own"), SHARED)
    assert not waits.has_room(refused(reason="unled"), SHARED)
    assert not waits.has_room(refused()._replace(state=TakeAnswer.taken), SHARED)
    with waits.one("api"), waits.one("api"):
        assert not waits.has_room(refused(), SHARED)
    assert waits.has_room(refused(), SHARED)


def test_of_a_shared_limit_nobody_tells_how_much_is_left() -> None:
    needs = [need_of(TokenBucket("api", rate="10/s"), 1, {}), need_of(TokenBucket("own", rate="10/s"), 1, {})]
    taken = verdict_of(refused()._replace(state=TakeAnswer.taken), needs, SHARED)
    assert [standing.left for standing in taken.standings] == [None, 3]
    assert dict(rate_limit_fields(taken))[b"ratelimit"] == b'"own";r=3;t=1'
    lacking = verdict_of(refused("own"), needs, SHARED)
    assert lacking.violated == ("own",)
    unfetched = verdict_of(refused(reason="unled"), needs, SHARED)
    assert (unfetched.status, unfetched.retry_after_s) == (503, 5)


def test_a_job_that_waits_for_a_shared_limit_comes_over_http_with_the_pace_of_its_queue() -> None:
    status = JobStatus("j1", "charge", State.waiting, reason="tokens", bucket="api", position=3, eta_s=0.4, shared=QueuePace(5, 31.0))
    document = job_document(status)
    assert document["shared"] == {"queues": 5, "per_second": 31.0, "silent_s": 0.0}
    document["shared"]["of a newer service"] = 1
    assert job_of(document).shared == status.shared


@pytest.mark.parametrize(("queues", "beside"), [(1, "alone"), (2, "beside 1 other"), (5, "beside 4 others")])
def test_a_plan_says_by_what_share_of_a_limit_it_was_played(queues: int, beside: str) -> None:
    assert share_words(QueuePace(queues, 6.538)).endswith(f"got 6.54 a second of it throughout, as it does now, {beside}")
