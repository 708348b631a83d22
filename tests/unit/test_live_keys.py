"""Distinct keys are bounded, leave when their buckets do, and take no place of those that are known."""

import pytest

from runner.asgi.live_keys import LiveKeys


def test_one_address_brings_few_newcomers_and_all_of_them_have_a_quarter_of_the_places() -> None:
    keys = LiveKeys(most=400, lives_s=10)

    assert [keys.admit(f"a{n}", "a", 0) for n in range(6)] == [True] * 4 + [False] * 2
    assert sum(keys.admit(f"{n}", f"address-{n}", 0) for n in range(400)) == 96
    assert keys.admit("a0", "b", 0)


def test_a_key_that_is_proven_makes_room_for_another_newcomer() -> None:
    keys = LiveKeys(most=100, lives_s=10)

    assert [keys.admit("a", "here", 0), keys.admit("b", "here", 0)] == [True, False]
    assert keys.prove("a", 1)
    assert keys.is_proven("a", 1)
    assert keys.admit("b", "here", 1)
    assert not keys.is_proven("b", 1)


def test_newcomers_take_no_place_of_those_that_will_be_proven() -> None:
    keys = LiveKeys(most=8, lives_s=10)
    for number in range(100):
        keys.admit(f"invented-{number}", f"address-{number}", 0)

    assert [keys.prove(f"known-{number}", 1) for number in range(7)] == [True] * 6 + [False]
    assert keys.is_proven("known-0", 2)


@pytest.mark.parametrize("is_proven", [False, True])
def test_a_key_leaves_when_it_was_not_used_for_so_long(is_proven: bool) -> None:
    keys = LiveKeys(most=100, lives_s=10)

    def use(key: str, now_s: float) -> bool:
        return keys.prove(key, now_s) if is_proven else keys.admit(key, key, now_s)

    for number in range(75 if is_proven else 25):
        assert use(str(number), 0)
    assert use("0", 5)
    assert not use("new", 9.9)
    assert use("new", 10)
    assert keys.is_proven("0", 14.9) == is_proven
    assert not keys.is_proven("1", 14.9)
    assert not keys.is_proven("0", 25)
    assert len(keys) <= 2


def test_an_address_without_a_place_shares_one_of_few_buckets() -> None:
    keys = LiveKeys(most=10, lives_s=10)

    names = [keys.of_address(f"address:{n}", 0) for n in range(1_000)]
    assert names[:10] == [f"address:{n}" for n in range(10)]
    assert 32 < len(set(names[10:])) <= 64
    assert keys.of_address("address:999", 1) == names[999]
    assert len(keys) == 10
