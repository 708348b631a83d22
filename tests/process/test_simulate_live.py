"""`simulate --live` in a process of its own: a plan on top of what real queues hold, which it does not change."""

from pathlib import Path

import pytest
from redis.asyncio import Redis

from runner import Runner, TokenBucket
from runner.settings import load_settings
from tests.leftovers import keys_of
from tests.process.test_cli import session

APP = """
from runner import Runner, TokenBucket

jobs = Runner({queue!r})

@jobs.task(limits=[TokenBucket("slow", rate="1/min", burst=1)])
async def call(number: int) -> int:
    return number
"""
SHARED = """
from runner import Runner, TokenBucket

jobs = Runner({queue!r})

@jobs.task(limits=[TokenBucket("slow", rate="1/min", burst=1, shared={queue!r})])
async def call(number: int) -> int:
    return number
"""
PLAN = ("simulate", "--task", "call", "--jobs", "a:2", "--duration", "1", "--json")


async def line_up(redis_url: str, queue: str, *, shared: str | bool = False) -> None:
    """Four jobs, of which the first has its token, unless that is elsewhere."""
    app = Runner(queue, settings=load_settings(redis_url=redis_url))

    @app.task(limits=[TokenBucket("slow", rate="1/min", burst=1, shared=shared)])
    async def call(number: int) -> int:
        return number

    for number in range(4):
        await call.submit(number)
    await app.close()


@pytest.mark.every_server
async def test_a_plan_comes_after_what_waits_and_changes_nothing(redis: Redis, redis_url: str, queue: str, tmp_path: Path) -> None:
    (tmp_path / "planned.py").write_text(APP.format(queue=queue))
    async with session(tmp_path, RUNNER_REDIS_URL=redis_url, RUNNER_APP="planned:jobs") as cli:
        await line_up(redis_url, queue)
        before = {key: await redis.dump(key) for key in await keys_of(redis, queue)}

        alone = (await cli.done(*PLAN)).json
        on_top = (await cli.done(*PLAN, "--live")).json
        refused = await cli(*PLAN, "--live", "--limit", "slow=1/s")

        assert {key: await redis.dump(key) for key in await keys_of(redis, queue)} == before
        assert (alone["jobs"], alone["drain_s"]) == (2, 61)
        waiting, planned = on_top["tenants"]
        assert (waiting["tenant"], waiting["jobs"]) == ("(waiting now)", 3)
        assert (planned["tenant"], planned["jobs"]) == ("a", 2)
        assert 120 < waiting["last_start_s"] <= 180  # less what has passed since the first took its token
        assert planned["last_start_s"] == waiting["last_start_s"] + 120
        assert (refused.code, refused.out) == (2, "")
        assert "--live plays the limits that are in force" in refused.err
    await redis.delete(*before)


async def test_a_plan_under_a_shared_limit_says_by_what_it_was_played(redis: Redis, redis_url: str, queue: str, tmp_path: Path) -> None:
    (tmp_path / "planned.py").write_text(SHARED.format(queue=queue))
    async with session(tmp_path, RUNNER_REDIS_URL=redis_url, RUNNER_APP="planned:jobs") as cli:
        await line_up(redis_url, queue, shared=queue)

        alone = (await cli.done(*PLAN)).json
        on_top = (await cli.done(*PLAN, "--live")).json
        said = (await cli.done(*PLAN[:-1], "--live")).out

        assert (alone["drain_s"], alone["shared"]) == (61, {"slow": None})
        assert on_top["shared"] == {"slow": {"queues": 1, "per_second": pytest.approx(1 / 60), "silent_s": 0.0}}
        assert on_top["tenants"][1]["last_start_s"] == pytest.approx(6 * 60, abs=61)
        words = " ".join(said.split())
        assert "slow is shared by several queues: this is played as if the queue of these jobs got 1 a minute of it" in words
        assert "slow 1 a minute, " in words
    await redis.delete(*await keys_of(redis, queue))
