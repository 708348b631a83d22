"""Leadership only paces: with two leaders nothing happens twice, without one nothing stops, and an idle one costs next to nothing."""

import asyncio
from collections import Counter
from itertools import pairwise

import pytest
from redis.asyncio import Redis

from runner import JobHandle, JobOptions, Runner, Settings, TokenBucket
from runner.connection.client import command
from runner.store import scripts
from runner.store.job_store import JobStore
from runner.store.keys import Keys
from runner.store.lease import LeaseStore
from runner.store.replies import Election, Reclaimed
from tests import invariants
from tests.eventually import eventually
from tests.pace import Pace
from tests.proxy import Proxy
from tests.recovery import Recovery
from tests.worker.conftest import Crew, MakeApp, a_crew, short_settings

LIMIT = TokenBucket("paced", rate="20/s", burst=2)


@pytest.mark.fault("F18")
async def test_two_leaders_promote_each_job_once_and_keep_the_limit(
    app: Runner, redis: Redis, queue: str, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = Counter[int]()

    async def always_elected(store: JobStore, worker: str, term: int) -> Election:
        return Election(1, worker, 2)

    @app.task(limits=[LIMIT])
    async def call(number: int) -> None:
        runs[number] += 1

    @app.task
    async def free(number: int) -> None:
        runs[number] += 1

    monkeypatch.setattr(JobStore, "lead", always_elected)
    workers = [await crew.start(app) for _ in range(2)]
    assert all(worker.state.leader == worker.id for worker in workers)
    jobs = await app.submit_many(
        [call.with_options(delay=0.01 * (number % 40)).prepare(number) for number in range(60)]
        + [free.with_options(delay=0.2).prepare(number) for number in range(100, 200)]
    )
    await done(jobs)

    assert set(runs.values()) == {1}
    assert await invariants.violations(redis, queue, [job.id for job in jobs], limits=[LIMIT], live=crew.ids) == []


@pytest.mark.fault("F18")
async def test_a_lock_that_is_handed_to_and_fro_promotes_each_job_once_and_keeps_the_limit(
    app: Runner, redis: Redis, queue: str, crew: Crew
) -> None:
    """Each worker trusts its lock for most of a lease, so for most of the time both lead."""
    runs = Counter[int]()

    @app.task(limits=[LIMIT])
    async def call(number: int) -> None:
        runs[number] += 1

    workers = [await crew.start(app) for _ in range(2)]
    jobs = await app.submit_many([call.with_options(delay=0.05 * (number % 30)).prepare(number) for number in range(50)])
    for number in range(20):
        await redis.set(Keys(queue).leader, f"{workers[number % 2].id}:{1000 + number}", px=4000)
        await asyncio.sleep(0.1)  # the fault: the lock changes hands every 0.1 s
    await done(jobs)

    assert set(runs.values()) == {1}
    assert await invariants.violations(redis, queue, [job.id for job in jobs], limits=[LIMIT], live=crew.ids) == []


@pytest.mark.fault("F19")
async def test_without_any_leader_waiting_jobs_start_and_soon_on_time(
    make_app: MakeApp, redis: Redis, queue: str, crew: Crew, pace: Pace, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never_elected(store: JobStore, worker: str, term: int) -> Election:
        return Election(0, "nobody", 1, watches=True)

    monkeypatch.setattr(JobStore, "lead", never_elected)
    app, limit = make_app(block_s=2), TokenBucket("paced", rate="5/s", burst=1)
    begun_s, late_s = list[float](), dict[int, float]()

    @app.task(limits=[limit])
    async def call() -> None:
        begun_s.append(pace.now_s)

    @app.task
    async def free(number: int) -> None:
        late_s[number] = pace.now_s - submitted_s - 0.2 * number

    await crew.start(app)
    jobs = await app.submit_many([call.prepare() for _ in range(16)])
    submitted_s = pace.now_s
    delayed = await app.submit_many([free.with_options(delay=0.2 * number).prepare(number) for number in range(1, 6)])
    await done(jobs + delayed)

    log = await invariants.starts_of(redis, queue)
    for number, job in enumerate(delayed, 1):
        submitted_us = int(await redis.hget(Keys(queue).job(job.id), "submitted") or 0)
        assert [start.at_us >= submitted_us + 200_000 * number for start in log if start.job == job.id] == [True]
        assert late_s[number] < 3
    gaps_s = [later - earlier for earlier, later in pairwise(begun_s)]
    assert max(gaps_s) < 2.5
    assert max(gaps_s[-4:]) < 0.4
    assert await invariants.violations(redis, queue, [job.id for job in jobs], limits=[limit], live=crew.ids) == []


async def test_a_leader_that_leaves_is_followed_by_another(app: Runner, redis: Redis, queue: str, crew: Crew) -> None:
    @app.task
    async def work() -> None: ...

    first = await crew.start(app)
    second = await crew.start(app)
    assert second.state.leader == first.id
    await crew.stop(first)

    await eventually(lambda: leads(redis, queue, second.id))
    await done([await work.with_options(delay=0.1).submit()])


@pytest.mark.fault("F19", bound_s=5)
async def test_a_leader_whose_duty_fails_resigns_and_another_one_leads(
    app: Runner, redis: Redis, queue: str, crew: Crew, monkeypatch: pytest.MonkeyPatch, recovery: Recovery
) -> None:
    reclaim, failing = JobStore.reclaim, list[JobStore]()

    async def fails_for_the_first_leader(store: JobStore, not_after_us: int) -> Reclaimed:
        failing.append(store)
        if store is failing[0]:
            raise RuntimeError("no room on the disk")
        return await reclaim(store, not_after_us)

    @app.task
    async def work() -> None: ...

    monkeypatch.setattr(JobStore, "reclaim", fails_for_the_first_leader)
    first = await crew.start(app)
    second = await crew.start(app)
    await eventually(lambda: failing)
    recovery.begins()

    await eventually(lambda: leads(redis, queue, second.id))
    recovery.ends()
    await done([await work.with_options(delay=0.1).submit()])
    assert not first.state.is_stopped


async def test_a_leader_that_is_lost_between_two_pages_of_a_change_is_followed_by_one_that_turns_the_rest(
    app: Runner, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn, lost = JobStore.retime, list[JobStore]()

    async def is_lost_after_a_page(store: JobStore) -> bool:
        has_more = await turn(store)
        if has_more and not lost:
            lost.append(store)
            raise RuntimeError("the machine is gone")
        return has_more

    @app.task(limits=[TokenBucket("tenant", rate="10/s", burst=5, key="{tenant}")])
    async def call(tenant: int) -> None: ...

    monkeypatch.setattr(JobStore, "retime", is_lost_after_a_page)
    for _ in range(2):
        await crew.start(app)
    await app.client.control.pause("tenant")
    jobs = await app.submit_many([call.prepare(tenant) for tenant in range(1_250)])

    await app.client.control.resume("tenant")

    await eventually(lambda: lost)
    await done(jobs)


async def test_cut_connections_do_not_cost_the_leader_its_office(make_app: MakeApp, direct_url: str, queue: str, redis: Redis) -> None:
    async with Proxy(direct_url) as proxy, a_crew() as crew:
        behind, direct = make_app(redis_url=proxy.url, lease_s=20), make_app()

        @behind.task
        async def work() -> None: ...

        worker = await crew.start(behind)
        term = await redis.get(Keys(queue).leader)
        job = await direct.client.submit("work", {})
        await job.wait(timeout=5)
        for _ in range(5):
            proxy.cut_connections()
            later = await direct.client.submit("work", {}, JobOptions(delay=0.3))
            async with asyncio.timeout(10):
                await later.wait()

        assert await leads(redis, queue, worker.id)
        assert await redis.get(Keys(queue).leader) == term
        await direct.close()
        await crew.stop(worker)


async def test_an_election_whose_reply_was_lost_is_still_won(make_app: MakeApp, direct_url: str, queue: str, redis: Redis) -> None:
    lead = scripts.load("lead")
    await redis.script_load(lead.source)
    async with Proxy(direct_url) as proxy, a_crew() as crew:
        app = make_app(redis_url=proxy.url, lease_s=20)
        proxy.lose_reply_of(lead.sha)

        worker = await crew.start(app)

        assert proxy.lost_replies == 1
        assert worker.state.leader == worker.id
        await crew.stop(worker)
        assert await redis.get(Keys(queue).leader) is None


async def test_an_idle_worker_that_leads_sends_a_few_commands_a_second(direct_url: str, queue: str) -> None:
    async with Proxy(direct_url) as proxy:
        app = Runner(queue, settings=Settings(redis_url=proxy.url))

        @app.task(limits=[LIMIT])
        async def work() -> None: ...

        async with a_crew() as crew:
            worker = await crew.start(app)
            await done(await app.submit_many([work.prepare() for _ in range(5)]))
            await app.close()
            await asyncio.sleep(0.5)
            proxy.passed.clear()
            await asyncio.sleep(4)
            passed = proxy.passed.copy()
            assert worker.state.leader == worker.id

    assert 4 < passed.total() < 20, passed


async def done(jobs: list[JobHandle[None]]) -> None:
    for job in jobs:
        assert (await job.wait(timeout=30)).state == "succeeded"


async def leads(redis: Redis, queue: str, worker: str) -> bool:
    leader = await command(redis, "GET", Keys(queue).leader)
    return bool(leader) and leader.startswith(f"{worker}:".encode())


async def test_a_look_for_lapsed_workers_that_was_held_up_with_all_renewals_takes_nothing_back(
    make_app: MakeApp, direct_url: str, queue: str, crew: Crew
) -> None:
    """As when one command keeps Redis busy for longer than a lease: what others sent meanwhile, and what the leader did, come all at once."""
    async with Proxy(direct_url) as proxy:
        await crew.start(make_app(redis_url=proxy.url, command_timeout_s=30))
        other = JobStore(direct_url, queue, short_settings(direct_url))
        proxy.hold("EVALSHA", scripts.load("reclaim").sha)
        await eventually(lambda: proxy.held_commands)
        await other.enlist("other", "{}")
        await asyncio.sleep(other.settings.lease_s + 0.2)

        proxy.release()
        await asyncio.sleep(0.1)  # it has come, and the next one has not
        lease = LeaseStore(direct_url, queue, short_settings(direct_url))
        await asyncio.to_thread(lease.renew, "other")
        lease.close()

        assert "other" in {worker.id for worker in await other.workers()}
        await other.close()
