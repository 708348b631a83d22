"""A value that code gives for a key names the bucket which a job with that argument has; what can name none is refused."""

import math
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from ipaddress import ip_address
from typing import Any

import pytest
from pydantic import SecretStr

from runner import Runner, TokenBucket
from runner.errors import InvalidArguments
from runner.limits import need_of

KEYED = TokenBucket("keyed", rate="1/s", key="{of}")


class Plan(Enum):
    gold = "gold"


class Old(str, Enum):  # noqa: UP042 - as older code has it
    gold = "gold"


class New(StrEnum):
    gold = "gold"


class Level(IntEnum):
    one = 1


class Instant(datetime):
    """As the types of packages for dates are."""


VALUES: list[Any] = [
    *("t7", "Ä/ö", "", 7, True, 1.0, -0.0, Plan.gold, Old.gold, New.gold, Level.one, Decimal("1.50"), uuid.UUID(int=7), b"a\xff\xfe"),
    *(date(2026, 1, 2), time(1, 2, 3, tzinfo=UTC), timedelta(hours=1), timedelta(days=-1, microseconds=5)),
    *(
        datetime(2026, 1, 2, tzinfo=UTC),
        datetime(2026, 1, 2, tzinfo=UTC).replace(tzinfo=None),
        Instant(2026, 1, 2, tzinfo=UTC),
        ip_address("::1"),
        ip_address("1.2.3.4"),
    ),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{type(value).__name__} {value}")
def test_code_that_is_no_job_takes_of_the_bucket_of_a_job_with_that_argument(value: Any) -> None:
    kind = datetime if isinstance(value, datetime) else type(value)

    async def call(of: Any) -> None: ...

    call.__annotations__["of"] = kind
    job = Runner("q").task(limits=[KEYED])(call).prepare(value)

    assert f"{need_of(KEYED, 1, {'of': value}).bucket}=1" == job.limits


@pytest.mark.parametrize("value", [None, [], {}, (), object(), math.nan, math.inf, Decimal("NaN"), 1j, SecretStr("x"), Plan, len])
def test_what_can_name_no_bucket_is_refused(value: object) -> None:
    with pytest.raises(InvalidArguments, match=r"takes its key from argument 'of', which is .*: give a text or a number"):
        need_of(KEYED, 1, {"of": value})


@pytest.mark.parametrize("spelled", [lambda: Decimal("1.0"), lambda: Decimal("1.00"), lambda: Decimal(1)])
def test_one_value_has_one_bucket(spelled: Callable[[], Decimal]) -> None:
    assert need_of(KEYED, 1, {"of": spelled()}).bucket == "keyed/1"
