"""Distinct keys are bounded, and leave when their buckets do."""

from runner.asgi.live_keys import LiveKeys


def test_keys_beyond_the_bound_are_not_admitted_while_the_others_live() -> None:
    keys = LiveKeys(most=2, lives_s=10)

    assert [keys.admit(key, 0) for key in ("a", "b", "c", "a")] == [True, True, False, True]
    assert len(keys) == 2


def test_a_key_leaves_when_it_was_not_used_for_so_long() -> None:
    keys = LiveKeys(most=2, lives_s=10)
    keys.admit("a", 0)
    keys.admit("b", 1)
    keys.admit("a", 5)

    assert not keys.admit("c", 10.9)
    assert keys.admit("c", 11)
    assert not keys.admit("b", 14.9)
    assert keys.admit("b", 15)
    assert len(keys) == 2
