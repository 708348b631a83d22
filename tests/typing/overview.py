"""What the type checkers of users see of a whole queue: never run, see `tasks`."""

from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import assert_type

from runner import (
    BlockingClient,
    BlockingHttpClient,
    BucketCounts,
    Client,
    HttpClient,
    Leader,
    Limit,
    LimitOverview,
    LimitState,
    Overview,
    Slots,
    WaitingBucket,
    WaitingBuckets,
    WaitingJob,
    WaitingLine,
)


async def watched(client: Client | HttpClient) -> None:
    assert_type(client.overviews(), AsyncGenerator[Overview, None])
    read(await client.overview())


async def measured(client: Client | HttpClient) -> None:
    assert_type(await client.metrics(), tuple[bytes, str])


def watched_in_plain_code(client: BlockingClient | BlockingHttpClient) -> None:
    assert_type(client.overviews(), Iterator[Overview])
    assert_type(client.overview(), Overview)
    assert_type(client.metrics(), tuple[bytes, str])


def read(overview: Overview) -> None:
    assert_type(overview.jobs, Mapping[str, int] | None)
    assert_type(overview.slots, Slots | None)
    assert_type(overview.leader, Leader | None)


def of_a_limit(limit: LimitOverview) -> None:
    assert_type(limit.policy, Limit)
    assert_type(limit.state, LimitState)
    assert_type(limit.buckets, BucketCounts)


async def in_line(client: Client | HttpClient) -> None:
    found = await client.waiting_buckets("tenant", find="t7", most=10)
    assert_type(found, WaitingBuckets)
    assert_type(found.buckets, tuple[WaitingBucket, ...])
    line = await client.waiting_line(found.buckets[0].bucket, after=0)
    assert_type(line, WaitingLine)
    assert_type(line.jobs, tuple[WaitingJob, ...])
