"""Budgets: a quota whose tokens are worth something, as it is declared, published and written."""

import json
from typing import Any

import pytest

from runner import ConfigurationError, Quota, Unit
from runner.limits import limit_of, limit_of_document

USD = Quota("usd", 5_000_00, per="month", unit="USD", scale=2, warn_at=0.8)


@pytest.mark.parametrize(
    ("tokens", "scale", "words"),
    [
        (1_234, 2, "12.34 USD"),
        (500_000, 2, "5,000.00 USD"),
        (5, 2, "0.05 USD"),
        (0, 2, "0.00 USD"),
        (-1_205, 2, "-12.05 USD"),
        (-5, 2, "-0.05 USD"),
        (1_234_567, 0, "1,234,567 USD"),
        (2**53 - 1, 9, "9,007,199.254740991 USD"),
    ],
)
def test_tokens_are_written_in_their_unit_exactly(tokens: int, scale: int, words: str) -> None:
    assert Unit("USD", scale).words(tokens) == words


def test_a_budget_says_its_numbers_in_its_unit() -> None:
    assert USD.words == "5,000.00 USD/month (UTC)"
    assert USD.left_words(12_34) == "12.34 of 5,000.00 USD"
    assert Quota("x", 10, per="day").left_words(3) == "3 of 10"


@pytest.mark.parametrize("quota", [USD, Quota("gpu", 90, per="day", unit="GPU hours", key="{tenant}", warn_at=(1, 0.5))])
def test_a_budget_is_read_again_as_it_was_published(quota: Quota) -> None:
    for read in (limit_of(json.loads(quota.to_json())), limit_of_document(quota.name, quota.document())):
        assert read == quota
        assert (read.unit, repr(read)) == (quota.unit, repr(quota))
    other = quota.with_numbers(capacity=7)
    assert (other.capacity, other.unit, other.warn_at) == (7, quota.unit, quota.warn_at)


def test_shares_to_warn_of_are_kept_in_their_order() -> None:
    assert Quota("x", 10, per="day", warn_at=[1, 0.5, 0.8]).warn_at == (0.5, 0.8, 1.0)


def test_a_quota_without_a_unit_is_published_as_before() -> None:
    assert set(Quota("x", 10, per="day").published()) == {
        *("kind", "name", "key", "capacity", "rate", "per", "tz", "calendar", "on_exhausted", "period_us")
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unit": ""}, "unit='' cannot be used: give a word of 1 to 16 characters"),
        ({"unit": "U\nSD"}, "cannot be used"),
        ({"unit": " USD"}, "cannot be used"),
        ({"unit": 3}, "unit=3 cannot be used"),
        ({"scale": 2}, "scale=2 is given without a unit"),
        ({"unit": "USD", "scale": 10}, "scale"),
        ({"unit": "USD", "scale": 1.5}, "scale"),
        ({"warn_at": 0}, "warn_at=0 cannot be used: give a share above 0 and up to 1"),
        ({"warn_at": 80}, "warn_at=80 cannot be used"),
        ({"warn_at": "0.8"}, "warn_at='0.8' cannot be used"),
        ({"warn_at": (0.8, 0.8)}, "cannot be used"),
        ({"warn_at": True}, "cannot be used"),
        ({"warn_at": float("nan")}, "cannot be used"),
        ({"unit": "USD", "shared": True}, "a quota that several queues share cannot have unit"),
        ({"warn_at": 0.8, "shared": True}, "a quota that several queues share cannot have warn_at"),
        ({"warn_at": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]}, "up to 5 of them"),
    ],
)
def test_what_cannot_work_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message.replace("(", r"\(")):
        Quota("usd", 5_000_00, per="month", **options)
