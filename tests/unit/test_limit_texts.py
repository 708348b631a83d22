"""What the command says of a limit and of those who wait for it."""

from typing import Any

from runner import BucketStatus, LimitStatus, TokenBucket
from runner.cli.limits import details, rows_of

BUCKETS = [BucketStatus("tenant/a", 0, 12, 0.5, 0.0), BucketStatus("tenant/b", 0, 7, 0.5, 0.0, waiting_is_estimate=True)]


def tenant(buckets: list[BucketStatus], **counts: Any) -> LimitStatus:
    return LimitStatus(TokenBucket("tenant", rate="10/s", key="{t}"), None, None, buckets, **counts)


def test_an_estimate_is_told_as_one_and_so_is_what_is_not_shown() -> None:
    limit = tenant(BUCKETS, waiting_buckets=5_000, waiting=9_930, waiting_is_estimate=True)

    assert limit.buckets_not_shown == 4_998
    lines = list(details(limit, 0))
    assert lines[1] == "  about 9930 jobs wait at 5000 buckets"
    assert lines[-1] == "  and 4998 more buckets that jobs wait for"
    assert ["  12  " in lines[3], "  about 7  " in lines[4]] == [True, True]
    rows = list(rows_of(limit, 0))
    assert (rows[0][3], rows[2][3], rows[-1][0]) == ("about 9930", "about 7", "  and 4998 more")


def test_a_true_count_is_told_plainly_and_nothing_is_said_of_none() -> None:
    limit = tenant(BUCKETS[:1], waiting_buckets=1, waiting=1)
    assert list(details(limit, 0))[1] == "  1 job waits at 1 bucket"
    assert not any("more" in line for line in details(limit, 0))
    assert not any("more" in row[0] for row in rows_of(limit, 0))

    assert list(details(tenant([]), 0))[1:] == ["  no job waits at any of its buckets"]


def test_a_bucket_that_is_shown_though_nobody_waits_there_is_none_of_those_that_wait() -> None:
    asked = BucketStatus("tenant/c", 10, 0, 0.0, 0.0)

    assert tenant([asked, *BUCKETS], waiting_buckets=2, waiting=19).buckets_not_shown == 0
