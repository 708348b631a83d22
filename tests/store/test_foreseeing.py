"""What a submission would come to: its answer, when the job would start, and before when it surely does not. The scripts on a real server."""

import json
import random
from collections.abc import Sequence

import pytest

from runner.connection.client import command
from runner.errors import BacklogFull, StoreFull
from runner.jobs import Acceptance, Pausable, Priority, Submission
from runner.limits import Concurrency, Limit, Quota, SlidingWindow, TokenBucket
from runner.store.job_store import JobStore
from tests.store.builders import START_US, Clock, claim, finish_all, interval, job, jobs, make_store, publish, replacing, slot, unique
from tests.store.inside import all_keys

S = 1_000_000


async def contents(store: JobStore) -> dict[str, bytes]:
    return {key: await command(store.redis, "DUMP", key) for key in await all_keys(store)}


def follower(job_id: str, *parents: str) -> Submission:
    return job(job_id)._replace(has_call=3, features=json.dumps({"follow": {"after": parents, "on_failure": "cancel"}}), after=parents)


def member(job_id: str, batch: str) -> Submission:
    return job(job_id)._replace(has_call=3, features=json.dumps({"of_batch": batch}))


ASKED = [
    job("new"),
    job("known"),
    job("known", args=b'{"other":1}'),
    job("known", task="another"),
    unique("mine"),
    unique("again"),
    unique("again", duplicate="refuse"),
    replacing("again", "work/r"),
    unique("again", "work/free"),
    follower("after", "known"),
    follower("after", "nobody"),
    member("of", "none"),
    job("pooled", needs=["x"])._replace(line="1|x@#images"),
]


async def test_nothing_changes_and_the_answer_is_the_one_of_the_submission(store: JobStore) -> None:
    await publish(store, interval("x", capacity=1, every=100))
    await store.submit([job("known"), unique("mine"), replacing("waits", "work/r", delay=60), *jobs(2, "line", needs=["x"])])

    for asked in ASKED:
        before = await contents(store)
        forecast = await store.foresee(asked)
        assert await contents(store) == before, asked
        (answer,) = await store.submit([asked])
        is_new = isinstance(answer, Acceptance) and answer.is_new
        assert forecast.answer == (None if is_new else answer), asked


async def test_what_there_is_no_room_for_is_refused_as_it_would_be(store: JobStore) -> None:
    await store.submit(jobs(3))

    with pytest.raises(BacklogFull) as full:
        await store.foresee(job("more"), 3)
    assert (full.value.backlog, full.value.refused) == (3, 1)
    assert (await store.foresee(job("j0"), 3)).answer is Acceptance.existing
    assert (await store.foresee(job("more"), 4)).answer is None
    await store.submit([job(f"p{n}")._replace(line=f"#pool{n}") for n in range(32)])
    with pytest.raises(StoreFull, match="has 32 pools already"):
        await store.foresee(job("more")._replace(line="#one"))


KINDS: list[Sequence[Limit]] = [
    [TokenBucket("x", rate="10/s", burst=3)],
    [interval("x", capacity=4, refill=2, every=1)],
    [SlidingWindow("x", 5, per=1)],
    [Quota("x", 5, per="hour")],
    [TokenBucket("x", rate="10/s", burst=1), TokenBucket("y", rate="7/s", burst=2)],
]


@pytest.mark.parametrize("limits", KINDS, ids=lambda limits: "+".join(type(limit).__name__ for limit in limits))
@pytest.mark.parametrize("seed", range(4))
async def test_a_job_is_foretold_what_its_status_says_once_it_is_there(
    store: JobStore, clock: Clock, limits: Sequence[Limit], seed: int
) -> None:
    r = random.Random(seed)
    await publish(store, *limits)
    await store.extend_calendar("hour:UTC")
    shares = [""] if seed == 0 else [f"t{n}" for n in range(4)]
    needs = [limit.name for limit in limits]

    def another(name: str) -> Submission:
        share, priority = r.choice(shares), r.choice([*Priority, Priority.normal])
        return job(name, needs=r.sample(needs, r.randint(1, len(needs))), share=share, weight=1 + (share == "t1"), priority=priority)

    await store.submit([another(f"before{n}") for n in range(r.choice([0, 2, 15]))])
    await finish_all(store, await claim(store, 2))
    for number in range(12):
        clock.advance(r.random() / 5)
        asked = another(f"asked{number}")
        forecast = await store.foresee(asked)
        await store.submit([asked])
        (status,) = await store.get([asked.id])
        assert status is not None
        estimate = forecast.estimate
        assert estimate is not None
        if status.state == "waiting":
            assert (estimate.reason, estimate.bucket, estimate.position) == (status.reason, status.bucket, status.position), number
            assert (estimate.eta_us or 0) / S == pytest.approx(status.eta_s, abs=0.15), number
        else:
            assert estimate.eta_us == 0, "its tokens are there"


@pytest.mark.parametrize("limits", KINDS, ids=lambda limits: "+".join(type(limit).__name__ for limit in limits))
@pytest.mark.parametrize("seed", range(4))
async def test_the_jobs_of_a_batch_start_when_they_are_foretold_to(
    store: JobStore, clock: Clock, limits: Sequence[Limit], seed: int
) -> None:
    r, kind = random.Random(seed), type(limits[0])
    await publish(store, *limits)
    await store.extend_calendar("hour:UTC")
    shares = [""] if seed == 0 else [f"t{n}" for n in range(4)]
    needs = [limit.name for limit in limits]

    def another(name: str) -> Submission:
        share, priority = r.choice(shares), r.choice([*Priority, Priority.normal])
        chosen = needs if seed == 1 else r.sample(needs, r.randint(1, len(needs)))
        return job(name, needs=chosen, share=share, weight=1 + (share == "t1"), priority=priority)

    await store.submit([another(f"before{n}") for n in range(r.choice([0, 2, 15]))])
    await finish_all(store, await claim(store, 2))
    asked = [another(f"asked{n}") for n in range(r.choice([1, 12, 70]))]
    before, began_us = await contents(store), clock.now_us
    told = await store.foresee_many(asked)
    assert await contents(store) == before
    await store.submit(asked)

    starts: dict[str, float] = {}
    for _ in range(4_000):
        await store.refill()
        running = await claim(store)
        starts |= {one.id: (clock.now_us - began_us) / S for one in running}
        await finish_all(store, running)
        if len(starts) >= len(asked) and all(one.id in starts for one in asked):
            break
        clock.advance(0.02 if len(running) or kind is not Quota else 60)
    etas = {one.id: (each.estimate.eta_us or 0) / S for one, each in zip(asked, told, strict=True) if each.estimate}
    own = {job_id: at for job_id, at in starts.items() if job_id in etas}
    assert max(etas.values()) == pytest.approx(max(own.values()), rel=0.03, abs=0.3 if len(limits) == 1 else 0.7)
    assert sum(etas.values()) == pytest.approx(sum(own.values()), rel=0.1, abs=0.4 * len(etas))
    for one, each in zip(asked, told, strict=True):
        assert each.earliest.wait_us / S <= min(etas[one.id], own[one.id]) + 0.001, one.id


async def test_jobs_of_a_batch_wait_behind_those_before_them_and_for_a_slot(store: JobStore) -> None:
    await publish(store, TokenBucket("x", rate="2/s", burst=4))

    told = await store.foresee_many([*jobs(10, "j", needs=["x"]), job("free")._replace(delay_us=60 * S)])

    estimates = [one.estimate for one in told if one.estimate]
    assert [estimate.eta_us for estimate in estimates] == [0, 0, 0, 0, *(n * S // 2 for n in range(1, 7))]
    assert [estimate.position for estimate in estimates[4:]] == [1, 2, 3, 4, 5, 6]
    assert [one.earliest.wait_us for one in told] == [0, 0, 0, 0, *(n * S // 2 for n in range(1, 7)), 60 * S]
    with pytest.raises(BacklogFull) as full:
        await store.foresee_many(jobs(230, "j", needs=["x"]), 220)
    assert (full.value.backlog, full.value.refused) == (0, 230)


async def test_of_a_spent_quota_the_last_jobs_of_a_batch_fail(store: JobStore) -> None:
    await publish(store, Quota("q", 3, per="hour", on_exhausted="fail"))
    await store.extend_calendar("hour:UTC")
    asked = jobs(5, "j", needs=["q"])

    told = await store.foresee_many(asked)
    await store.submit(asked)
    await finish_all(store, await claim(store))
    await store.refill()

    assert [one.fails for one in told] == [False, False, False, True, True]
    statuses = await store.get([one.id for one in asked])
    assert [status and status.state for status in statuses] == ["succeeded"] * 3 + ["failed"] * 2


@pytest.mark.parametrize("limits", KINDS, ids=lambda limits: "+".join(type(limit).__name__ for limit in limits))
@pytest.mark.parametrize("seed", range(3))
async def test_no_job_starts_before_the_instant_it_is_told_surely(
    store: JobStore, clock: Clock, limits: Sequence[Limit], seed: int
) -> None:
    r = random.Random(seed)
    await publish(store, *limits)
    await store.extend_calendar("hour:UTC")
    needs = [limit.name for limit in limits]

    def another(name: str) -> Submission:
        priority, deadline = r.choice([*Priority, Priority.normal, Priority.normal]), r.choice([0, 0.5, 2])
        return job(name, needs=needs if r.random() < 0.7 else needs[:1], share=r.choice("aaab"), priority=priority, deadline=deadline)

    told: dict[str, int] = {}
    for number in range(40):
        asked = another(f"j{number}")
        told[asked.id] = clock.now_us + (await store.foresee(asked)).earliest.wait_us
        await store.submit([asked])
    started: dict[str, int] = {}
    for _ in range(60):
        await store.refill()
        await store.expire()
        running = await claim(store)
        started |= {one.id: clock.now_us for one in running}
        await finish_all(store, running)
        clock.advance(0.1)

    assert len(started) >= 5
    assert {job_id: at - told[job_id] for job_id, at in started.items() if at < told[job_id]} == {}
    assert any(at > START_US for at in told.values()), "of some it is known"


async def late(store: JobStore, *asked: Submission) -> dict[str, float]:
    found = await store.out_of_reach(asked)
    return {asked[at].id: earliest.wait_us / S for at, earliest in found.items()}


async def test_a_deadline_is_out_of_reach_where_its_own_line_is_too_long(store: JobStore) -> None:
    await publish(store, interval("x", capacity=1, every=10))
    await store.submit(jobs(6, needs=["x"], deadline=100))
    await claim(store)

    assert await late(store, job("a", needs=["x"], deadline=55), job("b", needs=["x"], deadline=61), job("c", deadline=1)) == {"a": 60.0}
    assert await late(store, job("a", needs=["x"], deadline=55, share="t1")) == {}, "another line may be served before"
    assert await late(store, job("a", needs=["x"], deadline=55, priority=Priority.high)) == {}
    assert await late(store, job("j3", needs=["x"], deadline=55)) == {}, "it is there"
    assert await late(store, job("a", needs=["x"], deadline=55, task="other")) == {}, "those ahead may step aside"
    assert await late(store, job("a", needs=[("x", 1)], deadline=200, delay=250)) == {"a": 250.0}


async def test_those_ahead_that_end_before_their_turn_are_not_waited_for(store: JobStore) -> None:
    await publish(store, interval("x", capacity=1, every=10))
    await store.submit([job("first", needs=["x"]), *jobs(9, needs=["x"], max_wait=25)])
    await claim(store)

    assert await late(store, job("a", needs=["x"], deadline=31)) == {}, "two start, seven end by themselves"
    assert await late(store, job("a", needs=["x"], deadline=30)) == {"a": 30.0}


@pytest.mark.parametrize(
    ("limit", "override", "deadline", "earliest"),
    [
        (TokenBucket("x", rate="1/s", burst=1), TokenBucket("x", rate="1/min", burst=1), 29.0, 39.0),
        (TokenBucket("x", rate="1/s", burst=20), TokenBucket("x", rate="1/min", burst=1), 29.0, 30.0),
        (TokenBucket("x", rate="1/min", burst=1), TokenBucket("x", rate="2/s", burst=1), 4.0, 5.0),
    ],
)
async def test_numbers_that_end_count_until_then(
    store: JobStore, clock: Clock, limit: Limit, override: Limit, deadline: float, earliest: float
) -> None:
    await publish(store, limit)
    await store.override("x", override.to_json(), 30 * S, "it complains")
    await store.submit(jobs(10, needs=["x"]))
    await claim(store)

    assert await late(store, job("a", needs=["x"], deadline=deadline)) == {"a": earliest}
    assert await late(store, job("a", needs=["x"], deadline=40)) == {}, "then the bucket may be full"


async def test_what_nobody_can_know_is_accepted(store: JobStore) -> None:
    await publish(store, interval("x", capacity=9, every=1000), Concurrency("gpu", 1), interval("y", every=1000), interval("z", every=1000))
    await store.submit(jobs(8, "c", needs=[("x", 5)]))
    await store.submit(jobs(3, "s", needs=[slot("gpu")]))
    await store.submit(jobs(3, "p", needs=["y"]))
    await claim(store)

    assert await late(store, job("a", needs=[("x", 5)], deadline=1)) == {}, "those ahead may settle for less"
    assert await late(store, job("a", needs=[slot("gpu")], deadline=1)) == {}
    assert await late(store, job("a", needs=["unheard"], deadline=1)) == {}
    assert await late(store, job("a", needs=["y"], deadline=1)) == {"a": 3_000.0}
    await store.pause("y", on=True, reason="look")
    assert await late(store, job("a", needs=["y"], deadline=1)) == {}
    await store.freeze("z", 60 * S, "")
    assert await late(store, job("a", needs=["z"], deadline=59), job("b", needs=["z"], deadline=61)) == {"a": 60.0}


async def test_while_anything_is_paused_nobody_is_surely_ahead(store: JobStore) -> None:
    await publish(store, interval("x", capacity=1, every=10))
    await store.submit(jobs(6, needs=["x"]))
    await claim(store)
    assert await late(store, job("a", needs=["x"], deadline=55)) == {"a": 60.0}

    await store.set_pause(Pausable.task, "other", "", 0)

    assert await late(store, job("a", needs=["x"], deadline=55)) == {}, "of jobs ahead some may step aside"


async def test_of_many_jobs_alike_one_is_looked_at(store: JobStore) -> None:
    await publish(store, interval("x", capacity=1, every=10))
    await store.submit(jobs(150, "k", needs=["x"], deadline=1000))

    asked = [*jobs(50, "n", needs=["x"], deadline=900), *jobs(150, "k", needs=["x"], deadline=900), job("z", needs=["x"])]

    assert list(await store.out_of_reach(asked)) == list(range(50)), "those that are there are left alone"


async def test_a_ready_job_waits_for_a_slot_as_long_as_runs_take(redis_url: str, queue: str, clock: Clock) -> None:
    store = make_store(redis_url, queue, clock)
    try:
        await store.enlist("w", '{"name":"w","slots":2}')
        await store.submit(jobs(2))
        started = await claim(store)
        clock.advance(3)
        await finish_all(store, started)
        await store.enlist("w", '{"name":"w","slots":2}')
        assert (await store.foresee(job("a"))).slot_us == 0
        await store.submit(jobs(5, "more"))

        forecast = await store.foresee(job("a"))
    finally:
        await store.close()
    assert forecast.runs_us == pytest.approx(3 * S, rel=0.41)
    assert forecast.slot_us == 2 * (forecast.runs_us or 0)


async def test_a_waiting_job_is_told_when_it_ends_by_the_runs_of_its_task(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=1, every=100))
    await store.submit([job("first", needs=["x"]), job("second", needs=["x"]), job("other", needs=["x"], task="other")])
    started = await claim(store)
    assert [status and status.end_eta_s for status in await store.get(["second"])] == [None], "nothing is known yet"
    clock.advance(61)
    await finish_all(store, started)

    second, other = await store.get(["second", "other"])

    assert second is not None
    assert other is not None
    assert (second.eta_s, other.end_eta_s) == (39.0, None)
    assert second.end_eta_s == pytest.approx(39 + 61, rel=0.41)


async def test_a_scheduled_job_is_told_when_it_ends_if_it_starts_when_it_is_due(store: JobStore, clock: Clock) -> None:
    await store.submit([job("first"), job("later", delay=500), job("other", delay=500, task="other")])
    started = await claim(store)
    assert [status and status.end_eta_s for status in await store.get(["later"])] == [None], "nothing is known yet"
    clock.advance(61)
    await finish_all(store, started)

    later, other = await store.get(["later", "other"])

    assert later is not None
    assert other is not None
    assert (later.state, later.eta_s, other.eta_s, other.end_eta_s) == ("scheduled", 439.0, 439.0, None)
    assert later.end_eta_s == pytest.approx(439 + 61, rel=0.41)
