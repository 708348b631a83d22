"""Jobs that come after others: held until those have ended, let go once, ended early by their policy, taken up again by a retry."""

import pytest

from runner.connection.client import command
from runner.jobs import Acceptance, BulkAction, JobFilter, MemberState, State, question_of
from runner.jobs.job import Ending
from runner.limits import TokenBucket
from runner.store.answers import RetryRefusal
from runner.store.flows import Linked, Sealing
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, crash, end, fail_all, finish_all, ids, job, jobs, publish
from tests.store.flow_world import codes, following, run_all, with_features, wrong_flows
from tests.store.inside import nudged, scores, states


async def reason(store: JobStore, name: str) -> tuple[str, str | None]:
    (status,) = await store.get([name])
    assert status is not None
    return status.state.value, status.reason


async def ended_by(store: JobStore, name: str) -> bytes | None:
    found: bytes | None = await command(store.redis, "HGET", store.keys.job(name), "ended_by")
    return found


async def listed(store: JobStore, **chosen: object) -> set[str]:
    """The jobs that a list of these shows."""
    return set((await store.select(question_of(JobFilter(**chosen)))).ids)  # type: ignore[arg-type]


async def told(store: JobStore) -> int:
    """How many calls it takes to tell all that is left to the leader."""
    calls = 1
    while await store.advance():
        calls += 1
    return calls


async def test_a_follower_is_held_and_let_go_when_its_parents_have_succeeded(store: JobStore) -> None:
    await store.submit(jobs(2, "p"))
    assert await store.submit([following("p0", "p1", name="f")]) == [Acceptance.waiting]
    assert await reason(store, "f") == ("waiting", "jobs")
    first, second = await claim(store, 9)
    assert ids([first, second]) == ["p0", "p1"]
    await end(store, first)
    assert await codes(store, "f") == {"p0": "succeeded", "p1": "pending"}
    assert await reason(store, "f") == ("waiting", "jobs")
    assert await wrong_flows(store) == []

    await end(store, second)

    assert ids(await claim(store)) == ["f"]
    assert await wrong_flows(store) == []
    assert await scores(store, store.keys.held_back) == {}


async def test_what_comes_after_a_job_of_the_same_call_finds_it(store: JobStore) -> None:
    await store.submit([job("a"), following("a", name="b"), following("b", name="c")])
    assert await run_all(store) == ["a", "b", "c"]
    assert await wrong_flows(store) == []


async def test_a_parent_that_there_is_not_is_a_refusal_and_nothing_is_stored(store: JobStore) -> None:
    await store.submit([job("p")])
    assert await store.submit([following("p", "nobody", name="f")]) == [Acceptance.no_parent]
    assert await states(store, ["f"]) == ["unknown"]
    assert await store.all_members("f") is None


async def test_parents_that_have_ended_before_count_as_what_they_came_to(store: JobStore) -> None:
    await store.submit(jobs(3, "p"))
    good, bad, _ = await claim(store, 9)
    await end(store, good)
    await fail_all(store, [bad])
    await store.submit([following("p0", name="goes")])
    await store.submit([following("p0", "p1", name="cancelled")])
    await store.submit([following("p1", name="failed", on_failure="fail")])
    await store.submit([following("p1", name="runs", on_failure="run")])
    await store.submit([following("p1", "p2", name="waits", on_failure="run")])

    assert await states(store, ["goes", "cancelled", "failed", "runs", "waits"]) == ["queued", "cancelled", "failed", "queued", "waiting"]
    assert await wrong_flows(store) == []


@pytest.mark.parametrize(("policy", "expected"), [("cancel", "cancelled"), ("fail", "failed"), ("run", "queued")])
async def test_the_policy_decides_when_a_parent_has_not_succeeded(store: JobStore, policy: str, expected: str) -> None:
    await store.submit([job("p"), following("p", name="f", on_failure=policy)])
    await fail_all(store, await claim(store))

    assert await states(store, ["f"]) == [expected]
    (status,) = await store.get(["f"])
    assert status is not None
    if policy == "fail":
        assert status.error is not None
        assert (status.error.type, status.error.message) == ("parent_failed", "job p, which it comes after, failed")
    assert await listed(store, state="failed") == ({"p", "f"} if policy == "fail" else {"p"})
    assert await listed(store, state="cancelled") == ({"f"} if policy == "cancel" else set())
    assert await ended_by(store, "f") == (None if policy == "run" else b"p")
    assert await wrong_flows(store) == []


async def test_siblings_go_on_when_one_has_failed(store: JobStore) -> None:
    await store.submit([*jobs(3, "p"), following("p0", "p1", "p2", name="f")])
    first, *_ = await claim(store, 1)
    await fail_all(store, [first])
    assert await states(store, ["f", "p1", "p2"]) == ["cancelled", "queued", "queued"]
    await run_all(store)
    assert await codes(store, "f") == {"p0": "failed", "p1": "succeeded", "p2": "succeeded"}


async def test_the_end_of_a_follower_ends_those_that_come_after_it(store: JobStore) -> None:
    chain = [job("j0"), *[following(f"j{at}", name=f"j{at + 1}") for at in range(120)]]
    await store.submit(chain)
    await fail_all(store, await claim(store))
    assert await told(store) > 1
    assert set(await states(store, [f"j{at}" for at in range(1, 121)])) == {"cancelled"}
    assert await wrong_flows(store) == []


@pytest.mark.parametrize("ending", ["cancel", "expire", "poison"])
async def test_every_way_to_end_is_told(store: JobStore, clock: Clock, ending: str) -> None:
    await store.submit([job("p", max_wait=5 if ending == "expire" else 0), following("p", name="f", on_failure="run")])
    if ending == "cancel":
        await store.cancel("p")
    elif ending == "expire":
        clock.advance(6)
        await store.expire()
    else:
        for _ in range(3):
            await claim(store)
            await crash(store)
    assert await codes(store, "f") == {"p": {"cancel": "cancelled", "expire": "expired", "poison": "failed"}[ending]}
    assert await states(store, ["f"]) == ["queued"]


async def test_an_end_that_is_told_twice_or_too_late_changes_nothing(store: JobStore, clock: Clock) -> None:
    await store.submit([*jobs(2, "p"), following("p0", "p1", name="f")])
    first, second = await claim(store, 9)
    assert await end(store, first) == "accepted"
    assert await end(store, first) == "repeated"
    assert await codes(store, "f") == {"p0": "succeeded", "p1": "pending"}
    await crash(store)
    assert await end(store, second, Ending.failed) == "stale"
    assert await reason(store, "f") == ("waiting", "jobs")
    assert await run_all(store) == ["p1", "f"]


async def test_a_parent_that_is_tried_again_is_pending_still(store: JobStore) -> None:
    await store.submit([job("p"), following("p", name="f")])
    (started,) = await claim(store)
    await end(store, started, Ending.retry)
    assert await codes(store, "f") == {"p": "pending"}
    assert await reason(store, "f") == ("waiting", "jobs")


async def test_delay_and_max_wait_begin_when_the_follower_is_let_go(store: JobStore, clock: Clock) -> None:
    await store.submit([job("p"), following("p", name="f", delay=10, max_wait=5)])
    clock.advance(100)
    await store.expire()
    await store.promote()
    assert await reason(store, "f") == ("waiting", "jobs")
    await run_all(store)
    assert await reason(store, "f") == ("scheduled", "delay")
    clock.advance(14)
    await store.promote()
    assert await states(store, ["f"]) == ["queued"]
    clock.advance(2)
    assert await claim(store) == []
    assert await states(store, ["f"]) == ["expired"]


async def test_the_deadline_of_a_follower_goes_on_while_it_is_held(store: JobStore, clock: Clock) -> None:
    await store.submit([job("p"), following("p", name="f", deadline=10), following("f", name="g", on_failure="run")])
    clock.advance(11)
    await store.expire()
    assert await states(store, ["f", "g"]) == ["expired", "queued"]
    assert await wrong_flows(store) == []


async def test_a_held_job_can_be_cancelled_and_counts_for_the_backlog(store: JobStore) -> None:
    await store.submit([job("p"), following("p", name="f"), following("f", name="g")])
    assert (await store.submit_each([job("x")]))[0] == Acceptance.queued
    assert await store.cancel("f") == "cancelled"
    assert await states(store, ["g"]) == ["cancelled"]
    assert await scores(store, store.keys.held_back) == {}


async def test_a_follower_with_limits_takes_its_place_in_line_when_it_is_let_go(store: JobStore) -> None:
    await publish(store, TokenBucket("b", rate="1/s", burst=1))
    await store.submit([job("p"), following("p", name="f", needs=["b"]), job("x", needs=["b"])])
    started = await claim(store, 9)
    assert ids(started) == ["p", "x"]
    await finish_all(store, started)
    status = (await store.get(["f"]))[0]
    assert status is not None
    assert (status.state, status.bucket) == (State.waiting, "b")


async def test_a_retry_of_the_parent_takes_the_flow_up(store: JobStore) -> None:
    chain = [job("a"), following("a", name="b"), following("b", name="c", on_failure="fail"), following("c", name="d", on_failure="run")]
    await store.submit(chain)
    await fail_all(store, await claim(store))
    assert await states(store, ["a", "b", "c", "d"]) == ["failed", "cancelled", "failed", "queued"]
    assert await store.retry("b") is RetryRefusal.parents

    assert await store.retry("a") == State.queued

    assert await states(store, ["a", "b", "c", "d"]) == ["queued", "waiting", "waiting", "queued"]
    assert await listed(store, state="failed") == set()
    assert set(await run_all(store)) == {"a", "b", "c", "d"}
    assert await wrong_flows(store) == []


async def test_a_flow_is_taken_up_by_the_last_of_the_parents_that_failed(store: JobStore) -> None:
    await store.submit([*jobs(2, "p"), following("p0", "p1", name="f")])
    await fail_all(store, await claim(store, 9))
    await store.retry("p0")
    assert await states(store, ["f"]) == ["cancelled"]
    assert await ended_by(store, "f") == b"p1"
    await store.retry("p1")
    assert await reason(store, "f") == ("waiting", "jobs")
    await run_all(store)
    assert await states(store, ["f"]) == ["succeeded"]


async def test_a_retry_of_a_follower_waits_for_its_parents_or_ignores_them(store: JobStore) -> None:
    await store.submit([job("p"), following("p", name="f"), following("f", name="g")])
    await store.cancel("f")
    assert await store.retry("f") == State.waiting
    assert await reason(store, "f") == ("waiting", "jobs")
    assert await reason(store, "g") == ("waiting", "jobs")
    await fail_all(store, await claim(store))
    assert await states(store, ["f", "g"]) == ["cancelled", "cancelled"]
    assert await store.retry("f") is RetryRefusal.parents
    assert await states(store, ["f", "g"]) == ["cancelled", "cancelled"]
    assert await store.retry("f", ignore_parents=True) == State.queued
    assert await reason(store, "g") == ("waiting", "jobs")
    assert await run_all(store) == ["f", "g"]


async def test_a_parent_is_kept_as_long_as_a_follower_may_ask(store: JobStore) -> None:
    await store.submit([job("p"), job("q"), following("p", name="f")])
    await finish_all(store, await claim(store, 9))
    week_ms = 7 * 86_400_000
    kept = [int(await command(store.redis, "PTTL", store.keys.job(name))) for name in ("p", "q")]
    assert kept[0] > week_ms - 60_000
    assert kept[1] <= 60_000


async def test_many_parents_are_named_in_calls_of_their_own(store: JobStore) -> None:
    names = [f"p{number}" for number in range(1_000)]
    await store.submit(jobs(1_000, "p"))
    await store.submit([following(name="f", on_failure="run")])
    assert await reason(store, "f") == ("waiting", "jobs")
    assert await store.link("f", names[:700], 0) == Linked()
    assert await store.seal("f", 1_000) == (Sealing.incomplete, 700)
    assert await store.link("f", names, 0) == Linked()
    assert await store.seal("f", 1_000) == (Sealing.sealed, 1_000)
    assert await store.seal("f", 1_000) == (Sealing.sealed, 1_000)
    assert (await store.link("f", ["p1"], 1)) == Linked()
    found = await store.all_members("f")
    assert found is not None
    assert [one.id for one in found] == names

    ran = await run_all(store)

    assert ran[-1] == "f"
    assert len(ran) == 1_001
    assert await wrong_flows(store) == []


async def test_a_follower_whose_parents_are_not_all_named_is_held_though_those_have_ended(store: JobStore) -> None:
    await store.submit(jobs(2, "p"))
    await store.submit([following(name="f")])
    assert await store.link("f", ["p0"], 0) == Linked()
    assert await run_all(store) == ["p0", "p1"]
    assert await reason(store, "f") == ("waiting", "jobs")
    assert await store.link("f", ["p0", "p1"], 0) == Linked()
    assert await reason(store, "f") == ("waiting", "jobs")

    await store.seal("f", 2)

    assert await run_all(store) == ["f"]
    assert await wrong_flows(store) == []


async def test_a_parent_that_is_named_again_keeps_its_place(store: JobStore) -> None:
    await store.submit(jobs(2, "p"))
    await store.submit([following(name="f")])
    assert await store.link("f", ["p0", "p1"], 0) == Linked()
    assert await store.link("f", ["p0", "p1"], 7) == Linked()
    found = await store.all_members("f")
    assert found is not None
    assert [(one.place, one.id) for one in found] == [(0, "p0"), (1, "p1")]
    assert await command(store.redis, "HGET", store.keys.job("p0"), "then") == b"after=f"


async def test_a_follower_that_has_begun_is_not_begun_again_when_its_parent_is(store: JobStore) -> None:
    await store.submit([job("p"), following("p", name="f", on_failure="run")])
    await fail_all(store, await claim(store))
    (running,) = await claim(store)
    assert running.id == "f"
    await store.retry("p")
    assert await run_all(store) == ["p"]
    assert await states(store, ["f"]) == ["running"]

    await end(store, running)

    assert await run_all(store) == []
    assert await states(store, ["p", "f"]) == ["succeeded", "succeeded"]


async def test_of_many_parents_one_that_there_is_not_links_none_of_its_call(store: JobStore) -> None:
    await store.submit(jobs(2, "p"))
    await store.submit([following(name="f")])
    assert await store.link("f", ["p0", "nobody", "p1"], 0) == Linked("nobody")
    await store.drop("f")
    assert await states(store, ["f"]) == ["unknown"]
    assert await store.link("f", ["p0"], 0) == Linked(over=True)
    assert await store.seal("f", 0) == (Sealing.over, 0)
    assert await wrong_flows(store) == []


async def test_a_thousand_followers_are_let_go_in_pages_by_the_leader(store: JobStore) -> None:
    await store.submit([job("p")])
    await store.submit([following("p", name=f"f{number}") for number in range(1_000)])
    await finish_all(store, await claim(store))
    assert await nudged(store)
    early = (await states(store, [f"f{number}" for number in range(1_000)])).count("queued")
    assert 0 < early < 100
    assert await wrong_flows(store, settled=False) == []

    while await store.advance():
        assert await wrong_flows(store, settled=False) == []

    assert set(await states(store, [f"f{number}" for number in range(1_000)])) == {"queued"}
    assert await wrong_flows(store) == []


async def test_many_followers_are_held_again_when_their_parent_is_run_again(store: JobStore) -> None:
    names = [f"f{number}" for number in range(300)]
    await store.submit([job("p")])
    await store.submit([following("p", name=name) for name in names])
    await fail_all(store, await claim(store))
    assert await store.advance()
    # Some are told of the end, and some are not, when the parent is run again.
    await store.retry("p")
    await told(store)
    assert set(await states(store, names)) == {"waiting"}
    await run_all(store)
    assert set(await states(store, names)) == {"succeeded"}
    assert await wrong_flows(store) == []


async def test_the_members_of_a_node_are_told_in_the_order_of_their_parents(store: JobStore) -> None:
    await store.submit(jobs(3, "p"))
    await store.submit([following("p2", "p0", "p1", name="f", on_failure="run")])
    first, second, _ = await claim(store, 9)
    await end(store, first)
    await fail_all(store, [second])
    found = await store.all_members("f")
    assert found is not None
    assert [(one.id, one.state) for one in found] == [
        ("p2", MemberState.pending),
        ("p0", MemberState.succeeded),
        ("p1", MemberState.failed),
    ]


async def test_a_follower_sent_twice_is_one_job(store: JobStore) -> None:
    await store.submit([job("p")])
    sent = following("p", name="f")
    assert await store.submit([sent]) == [Acceptance.waiting]
    assert await store.submit([sent]) == [Acceptance.existing]
    assert await run_all(store) == ["p", "f"]


# What is put right


async def mend(store: JobStore) -> None:
    """Look over all that points at jobs."""
    for _ in range(12):
        await store.repair()


async def test_a_parent_that_was_deleted_before_its_end_is_gone_and_the_policy_decides(store: JobStore) -> None:
    await store.submit([*jobs(3, "p"), following("p0", "p1", name="f"), following("p1", name="runs", on_failure="run")])
    await command(store.redis, "DEL", store.keys.job("p1"))
    await mend(store)
    assert await codes(store, "f") == {"p0": "pending", "p1": "gone"}
    assert await states(store, ["f", "runs"]) == ["cancelled", "queued"]
    assert await wrong_flows(store) == []


async def test_an_end_that_an_older_version_has_recorded_is_found(store: JobStore) -> None:
    names = [f"p{number}" for number in range(400)]
    await store.submit(jobs(400, "p"))
    await store.submit([following(name="f")])
    await store.link("f", names, 0)
    await store.seal("f", 400)
    for name in names:
        await command(store.redis, "HSET", store.keys.job(name), "state", "succeeded")
    for _ in range(20):
        await mend(store)
    assert await states(store, ["f"]) == ["queued"]
    assert await wrong_flows(store) == []
    for name in names:
        await command(store.redis, "HSET", store.keys.job(name), "state", "queued")


async def test_a_follower_that_nobody_seals_is_forgotten(store: JobStore, clock: Clock) -> None:
    await store.submit([job("p"), following(name="f")])
    await store.link("f", ["p"], 0)
    clock.advance(599)
    await mend(store)
    assert await reason(store, "f") == ("waiting", "jobs")
    clock.advance(2)
    await mend(store)
    assert await states(store, ["f"]) == ["unknown"]
    assert await scores(store, store.keys.held_back) == {}
    assert await store.all_members("f") is None


async def test_what_is_left_of_a_follower_that_was_deleted_goes(store: JobStore) -> None:
    await store.submit([job("p"), following("p", name="f"), following("p", name="g")])
    await command(store.redis, "DEL", store.keys.job("f"))
    await mend(store)
    assert list(await scores(store, store.keys.held_back)) == ["g"]
    assert await store.all_members("f") is None
    assert await run_all(store) == ["p", "g"]


async def test_the_sets_of_flows_can_be_deleted_and_no_job_is_lost_that_is_ready(store: JobStore) -> None:
    await store.submit([job("p"), following("p", name="f")])
    await command(store.redis, "DEL", store.keys.after("f"))
    await run_all(store)
    assert await reason(store, "f") == ("waiting", "jobs")
    await mend(store)
    assert await states(store, ["f"]) == ["queued"]


async def test_a_unique_follower_gives_its_mark_back_and_takes_it_again_unless_another_has_it(store: JobStore) -> None:
    unique = {"mark": "work/x", "mode": "end", "duplicate": "return"}
    made = with_features(following("p", name="f"), unique=unique)
    other = with_features(job("other"), unique=unique)
    await store.submit([job("p"), made])
    await fail_all(store, await claim(store))
    assert await states(store, ["f"]) == ["cancelled"]
    assert await store.submit([other]) == [Acceptance.queued]
    await store.retry("p")
    assert await states(store, ["f"]) == ["cancelled"]
    (status,) = await store.get(["f"])
    assert status is not None
    assert status.error is not None
    assert status.error.type == "DuplicateJob"
    assert set(await run_all(store)) == {"other", "p", "f"}


async def test_a_held_job_is_listed_and_counted_with_those_that_wait(store: JobStore) -> None:
    await store.submit([job("p"), following("p", name="f"), following("p", name="g")])

    assert await listed(store, state="waiting", reason="jobs") == {"f", "g"}
    assert await listed(store, state="waiting") == {"f", "g"}
    counts = await store.counts()
    assert (counts.queued, counts.waiting, counts.waiting_for["jobs"]) == (1, 2, 2)

    await store.cancel("f")
    assert await listed(store, state="waiting") == {"g"}
    assert await listed(store, state="cancelled") == {"f"}
    await run_all(store)
    assert await listed(store, state="succeeded") == {"p", "g"}
    assert (await store.counts()).waiting == 0


async def test_another_job_of_the_id_of_a_deleted_one_has_neither_its_parents_nor_its_followers(store: JobStore) -> None:
    await store.submit([job("p"), job("q"), following("p", name="f")])
    await store.submit([following("f", name=f"g{number}", on_failure="run") for number in range(20)])
    await run_all(store)
    for name in ("f", "p"):
        assert await store.delete(name) == "deleted"
    assert await store.all_members("f") is None
    assert await command(store.redis, "EXISTS", store.keys.followers("f")) == 0

    await store.submit([job("q2"), following("q2", name="f")])
    assert await codes(store, "f") == {"q2": "pending"}
    await run_all(store)
    assert await states(store, ["f"]) == ["succeeded"]
    assert await codes(store, "g0") == {"f": "succeeded"}
    assert await wrong_flows(store) == []


async def act_upon(store: JobStore, action: BulkAction, filter: JobFilter) -> dict[str, int]:
    """Act upon all of these; why some were skipped."""
    await store.begin_bulk("b", action, question_of(filter), {})
    while (await store.bulk("b")).more:
        pass
    stored = await store.read_bulk("b")
    assert stored is not None
    await store.confirm_bulk("b", stored.status.counted)
    while (await store.bulk("b")).more:
        pass
    stored = await store.read_bulk("b")
    assert stored is not None
    return dict(stored.status.why)


async def test_a_retry_of_many_takes_up_their_flows_and_skips_what_would_be_ended_again(store: JobStore, clock: Clock) -> None:
    await store.submit([job("p"), following("p", name="f", on_failure="fail"), job("kept", task="other")])
    await store.submit([following("kept", name="g", on_failure="fail")])
    await fail_all(store, await claim(store, 9))
    clock.advance(1)

    assert await act_upon(store, BulkAction.retry, JobFilter(state="failed", task="work")) == {"parents": 1}

    assert await states(store, ["p", "f", "kept", "g"]) == ["queued", "waiting", "failed", "failed"]
    assert await run_all(store) == ["p", "f"]
    assert await wrong_flows(store) == []


async def test_a_purge_of_held_jobs_leaves_nothing_of_them(store: JobStore, clock: Clock) -> None:
    await store.submit([job("p"), following("p", name="f"), following("f", name="g", on_failure="run")])
    clock.advance(1)

    assert await act_upon(store, BulkAction.purge, JobFilter(state="waiting", id_prefix="f")) == {}

    assert await states(store, ["p", "f", "g"]) == ["queued", "unknown", "queued"]
    assert await codes(store, "g") == {"f": "cancelled"}
    assert set(await run_all(store)) == {"p", "g"}
    assert await wrong_flows(store) == []
