"""What type checkers know of acts upon many jobs, of a job's deletion, and of what a task says of how long its jobs are kept."""

from typing import assert_type

from runner import BulkPhase, BulkStatus, Client, HttpClient, JobFilter, MemoryStats, Runner

jobs = Runner("shop")


@jobs.task(failed_ttl=86_400, result_ttl=60, keep={"cancelled": 3_600, "expired": 600})
async def charge(order: str) -> str:
    return order


jobs.task(keep={"failed": 3})  # type: ignore[dict-item] # failed_ttl says that


async def many(client: Client | HttpClient) -> None:
    bulk = await client.bulk.begin("cancel", JobFilter(task="charge"), reason="wrong price list")
    assert_type(bulk, BulkStatus)
    assert_type(bulk.phase, BulkPhase)
    assert_type(await client.bulk.confirm(bulk.id, bulk.counted), BulkStatus)
    assert_type(await client.bulk.all(), list[BulkStatus])
    assert_type(await client.bulk.stop(bulk.id), BulkStatus)
    assert_type(await client.delete("o-17", reason="asked for"), None)


def many_in_plain_code(client: Client) -> None:
    assert_type(client.blocking.bulk.wait("b", 3.0), BulkStatus)
    assert_type(client.blocking.memory(whole=True), MemoryStats)
    assert_type(client.blocking.delete("o-17"), None)
