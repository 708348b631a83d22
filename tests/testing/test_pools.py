"""A queue in virtual time runs the jobs of every pool that its apps name."""

from runner import Runner, TokenBucket
from runner.testing import TestQueue


async def test_jobs_of_every_pool_run_in_virtual_time() -> None:
    jobs = Runner("media")
    api = TokenBucket("api", rate="1/s", burst=1)

    @jobs.task(pool="gpu", limits=[api])
    async def render(number: int) -> int:
        return number

    @jobs.task(limits=[api])
    async def notify(number: int) -> int:
        return number

    async with TestQueue(jobs) as queue:
        handles = [await task.submit(number) for number in range(6) for task in (render, notify)]
        await queue.run_until_idle()
        assert {(await handle.status()).state for handle in handles} == {"succeeded"}
        assert queue.seconds >= 11
