"""Other numbers for a limit: what may be changed of each kind, and what is refused with its reason."""

from typing import Any

import pytest

from runner.errors import ConfigurationError
from runner.limits import Concurrency, Limit, Quota, SlidingWindow, TokenBucket

SMOOTH = TokenBucket("x", rate="10/s", burst=20, key="{id}")
INTERVAL = TokenBucket("x", capacity=10, refill=2, every=10)


@pytest.mark.parametrize(
    ("code", "numbers", "expected"),
    [
        (SMOOTH, {"rate": "5/s"}, TokenBucket("x", rate="5/s", burst=20, key="{id}")),
        (SMOOTH, {"burst": 3}, TokenBucket("x", rate="10/s", burst=3, key="{id}")),
        (SMOOTH, {"capacity": 3}, TokenBucket("x", rate="10/s", burst=3, key="{id}")),
        (SMOOTH, {"rate": "1/min", "burst": 2, "capacity": None}, TokenBucket("x", rate="1/min", burst=2, key="{id}")),
        (SMOOTH, {"capacity": 4, "refill": 2, "every": 3}, TokenBucket("x", capacity=4, refill=2, every=3, key="{id}")),
        (INTERVAL, {"capacity": 4}, TokenBucket("x", capacity=4, refill=2, every=10)),
        (INTERVAL, {"every": 2.5, "refill": 1}, TokenBucket("x", capacity=10, refill=1, every=2.5)),
        (INTERVAL, {"rate": "5/s"}, TokenBucket("x", rate="5/s", burst=10)),
        (SlidingWindow("x", 5, per=60), {"capacity": 9}, SlidingWindow("x", 9, per=60)),
        (SlidingWindow("x", 5, per=60), {"per": 30}, SlidingWindow("x", 5, per=30)),
        (Concurrency("x", 5, key="{id}"), {"capacity": 1}, Concurrency("x", 1, key="{id}")),
        (
            Quota("x", 5, per="day", tz="Europe/Berlin", on_exhausted="fail"),
            {"capacity": 1},
            Quota("x", 1, per="day", tz="Europe/Berlin", on_exhausted="fail"),
        ),
    ],
    ids=repr,
)
def test_what_is_given_is_changed_and_the_rest_stays(code: Limit, numbers: dict[str, Any], expected: Limit) -> None:
    assert code.with_numbers(**numbers) == expected


@pytest.mark.parametrize(
    ("code", "numbers", "words"),
    [
        (SMOOTH, {}, "no number was given"),
        (SMOOTH, {"rate": None}, "no number was given"),
        (SMOOTH, {"per": 3}, "has no number 'per'"),
        (SMOOTH, {"rate": "5/s", "capacity": 4}, "give rate and burst, or"),
        (SMOOTH, {"every": -1}, "limit 'x' is smooth, and has no every"),
        (SMOOTH, {"capacity": 4, "refill": 2}, "has no refill"),
        (SMOOTH, {"burst": 4, "capacity": 4}, "both the size of its bucket"),
        (INTERVAL, {"burst": 4, "capacity": 4}, "both the size of its bucket"),
        (INTERVAL, {"evry": 4}, "has no number 'evry'; did you mean 'every'"),
        (SMOOTH, {"rate": "0/s"}, "never lets anything through"),
        (SMOOTH, {"rate": "fast"}, "not understood"),
        (SMOOTH, {"burst": 0}, "must be a whole number from 1"),
        (INTERVAL, {"every": -1}, "every"),
        (INTERVAL, {"capacity": 2.5}, "capacity is 2.5"),
        (SlidingWindow("x", 5, per=60), {"rate": "5/s"}, "has no number 'rate'"),
        (SlidingWindow("x", 5, per=60), {"capacity": 1_000_000}, "at most 100000"),
        (Concurrency("x", 5), {"capacity": True}, "capacity is True"),
        (Quota("x", 5, per="day"), {"per": "week"}, "has no number 'per'"),
    ],
)
def test_what_cannot_work_is_refused_with_its_reason(code: Limit, numbers: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        code.with_numbers(**numbers)
