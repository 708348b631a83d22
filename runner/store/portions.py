"""How much goes into one call of a script. Redis does nothing else meanwhile, so no call takes more than 5 ms of a quiet core.

Whoever has more calls again at once, with the next portion; the scripts refuse what is beyond these numbers, or leave it for the next call.
`python -m bench script-time` measures each at its worst. These were chosen to leave a core that is a quarter slower within the 5 ms.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, repeat
from typing import TypeVar

T = TypeVar("T")

MOST_PER_CALL = 100
"""Entries of one call: jobs, outcomes, ids, names. What takes longer than the plainest of these counts as several. The scripts know it
as MOST_ENTRIES."""
BUCKET_ENTRIES = 3
"""A bucket counts as so many entries, once in each call. The scripts know it under the same name."""
MOST_BYTES = 500_000
"""Payload of one call with several payloads."""
MOST_SMALL = 64_000
"""Bytes of a payload that goes along with others, over any connection. A larger one goes by itself, and nothing waits for it."""
MOST_HEAVY = 1_000_000
"""Payload of one call that reads large ones, or one of them."""
MOST_MOVED = MOST_PER_CALL * 2 // 5
"""Jobs that one call moves from one place to another: a line, a stream, the dead letters. Buckets count besides."""
MOST_ACTED = MOST_PER_CALL * 3 // 10
"""Jobs that one page of a bulk acts upon: each may leave a line, and come into another."""
MOST_TAKEN_BACK = MOST_PER_CALL // 6
"""Entries that one call takes back from lapsed workers, each with what it holds."""
MOST_READ = MOST_PER_CALL // 6
"""Entries of each stream that a blocking read returns, for the claim sent along with it to start them all."""
MOST_LIMITS = MOST_PER_CALL // 7
"""Limits of the catalog that one call reads or writes, each with all its earlier policies."""
MOST_LET_GO = MOST_PER_CALL // 3
"""Jobs that one call returns to their lines and streams, as a worker has come that can run them."""
MOST_MENDED = MOST_PER_CALL * 2
"""Members of a structure that points at jobs that one call compares with their records."""
MOST_SWEPT = MOST_PER_CALL // 2
"""Tasks and limits that one call removes, or finds to be served."""
MOST_BATCHES = 100
"""Batches that one call tells of."""
MOST_LINKED = MOST_PER_CALL
"""Jobs that one call makes members of a flow or a batch."""
MOST_TOLD = MOST_PER_CALL // 5
"""Followers that one call tells what a parent came to, and moves."""
MOST_MEMBERS = MOST_PER_CALL * 5
"""Members of a flow or a batch that one call reads."""
MOST_STATUSES = MOST_PER_CALL * 2 // 5
"""Jobs that one call looks up, each with its place in line."""
MOST_WATCHED = MOST_PER_CALL * 7 // 2
"""Jobs of which one call has the end announced."""
MOST_NAMES = MOST_PER_CALL // 3
"""Buckets whose lines one call of a process with takers may serve."""
MOST_TICKETS = MOST_PER_CALL - MOST_NAMES
"""Takers that the same call keeps in line."""
MOST_EXAMINED = MOST_PER_CALL * 5
"""Records that one call looks at that only looks for jobs."""
MOST_VIEWED = MOST_PER_CALL * 8 // 5
"""Commands of a call that reads buckets, then it ends with the bucket that passes them, which takes twice as many at most."""


def fitting(sizes: Iterable[int], weights: Iterable[int] = repeat(1), most_bytes: int = MOST_BYTES) -> int:
    """How many payloads of these sizes, from the first on, go into one call: as many as bytes and entries allow, and always one.

    weights: as how many entries each counts.
    """
    count = entries = total = 0
    for size, weight in zip(sizes, weights, strict=False):
        total += size
        entries += weight
        if count and (total > most_bytes or entries > MOST_PER_CALL):
            break
        count += 1
    return max(count, 1)


def weights_of(jobs: Iterable[tuple[str, str]]) -> Iterator[int]:
    """As how many entries jobs count in one call, by their `limits` ("bucket=cost;...") and `line`: a bucket or a line counts where it is met first."""
    met: set[str] = set()
    latest = ("", "")
    for job in jobs:
        before = len(met)
        if job != latest:
            limits, line = latest = job
            met.update(part.partition("=")[0] for part in limits.split(";") if part)
            if line:
                met.add(f"line {line}")
        yield (2 if job[0] else 1) + BUCKET_ENTRIES * (len(met) - before)


def portions(items: Iterable[T], most: int = MOST_PER_CALL) -> Iterator[Sequence[T]]:
    """Items by so many; nothing of nothing."""
    rest = iter(items)
    while portion := list(islice(rest, most)):
        yield portion
