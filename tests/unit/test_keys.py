"""Keys: one hash tag for all of a queue, and no two with the same name."""

import inspect
import re
from itertools import product

import pytest

from runner.errors import ConfigurationError
from runner.jobs.job import Priority, check_queue_name
from runner.store.keys import Keys


def every_key(queue: str, variable: str) -> list[str]:
    """Each key Keys can name, with `variable` for each variable part."""
    keys = Keys(queue)
    found = [keys.stream(priority) for priority in Priority]
    for name, member in inspect.getmembers_static(Keys):
        if name.startswith("_") or name in {"queue", "prefix", "stream"}:
            continue
        parts = 0 if isinstance(member, property) else len(inspect.signature(member).parameters) - 1
        found.append(getattr(keys, name)(*[variable] * parts) if parts else getattr(keys, name))
    return found


def test_every_key_lies_in_the_slot_of_its_queue() -> None:
    keys = every_key("shop-1", "a}b{c")

    assert len(keys) > 20
    assert {re.match(r"[^{]*\{([^}]*)\}", key)[1] for key in keys} == {"shop-1"}  # type: ignore[index] # every key matches
    assert all(key.startswith(Keys("shop-1").prefix) for key in keys)


def test_no_two_keys_have_the_same_name() -> None:
    for variable in ("a", "", ":", "high", "waiting:a", "workers"):
        keys = every_key("q", variable)
        assert len(set(keys)) == len(keys)


def test_queues_share_no_key() -> None:
    queues = ["a", "b", "a.b", "a-b", "A"]

    assert all(not set(every_key(one, "x")) & set(every_key(other, "x")) for one, other in product(queues, queues) if one != other)


@pytest.mark.parametrize("queue", ["a", "shop", "A.b_c-9", "x" * 64])
def test_a_queue_name_of_plain_characters_is_accepted(queue: str) -> None:
    assert check_queue_name(queue) == queue


@pytest.mark.parametrize("queue", ["", "x" * 65, "a b", "a:b", "{a}", "}", "a/b", "ä", "a\n"])
def test_any_other_queue_name_is_refused(queue: str) -> None:
    message = f"queue name {queue!r} cannot be used: give 1 to 64 letters, digits, '.', '_' or '-'"
    with pytest.raises(ConfigurationError, match=f"^{re.escape(message)}$"):
        check_queue_name(queue)


def test_priorities_are_served_high_to_low() -> None:
    assert [priority.name for priority in sorted(Priority)] == ["high", "normal", "low"]
