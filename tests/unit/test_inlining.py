"""Calls of short functions are replaced by what these return, and only where that is the same."""

import pytest

from runner.store.inlining import inlined
from runner.store.lua_text import read

KEY = "local prefix = KEYS[1]\nlocal function key_of(id) return prefix .. ':' .. id end\n"


def told(*texts: str) -> str:
    return "".join(piece.text for piece in inlined([read(text) for text in texts])[-1].pieces)


@pytest.mark.parametrize(
    ("call", "instead"),
    [
        ("redis.call('GET', key_of(id))\n", "redis.call('GET', (prefix .. ':' .. id))\n"),
        ("f(key_of('a, (b'), key_of(job.id))\n", "f((prefix .. ':' .. 'a, (b'), (prefix .. ':' .. job.id))\n"),
        ("f(key_of(key_of(id)))\n", "f((prefix .. ':' .. ((prefix .. ':' .. id))))\n"),
        ("f(key_of(a or b))\n", "f((prefix .. ':' .. (a or b)))\n"),
    ],
)
def test_the_expression_stands_where_the_call_was(call: str, instead: str) -> None:
    assert told(KEY, call) == instead


@pytest.mark.parametrize(
    "call",
    ["pcall(key_of, id)\n", "t.key_of(id)\n", "key_of()\n", "f('key_of(id)') -- key_of(id)\n", "monkey_of(id)\n"],
    ids=["a value", "a field", "another number of arguments", "a text and a remark", "another name"],
)
def test_what_is_no_such_call_stays(call: str) -> None:
    assert told(KEY, call) == call


@pytest.mark.parametrize(
    "around",
    [
        "local prefix = 'other'\n",
        "for prefix = 1, 2 do\n",
        "function t.f(prefix)\n",
        "local function key_of(id) return id end\n",
        "key_of = function(id) return id end\n",
    ],
)
def test_a_call_stays_where_a_name_can_mean_something_else(around: str) -> None:
    assert told(KEY, around + "  f(key_of(id))\n") == around + "  f(key_of(id))\n"


def test_an_argument_is_not_left_out_and_not_asked_for_twice() -> None:
    twice = "local function twice(x) return x + x end\n"
    choice = "local function first(x, y) return x or y end\n"

    assert told(twice, "f(twice(1), twice(g()))\n") == "f((1 + 1), twice(g()))\n"
    assert told(choice, "f(first(a, b), first(a, g()))\n") == "f((a or b), first(a, g()))\n"


def test_a_function_of_several_values_or_of_commands_is_called() -> None:
    several = "local function both(x) return string.match(x, '(.)(.)') end\n"
    command = "local function read(x) return redis.call('GET', x) == 'a' end\n"

    assert told(several, "f(both(a))\n") == "f(both(a))\n"
    assert told(command, "f(read(a))\n") == "f(read(a))\n"


def test_a_short_function_uses_others() -> None:
    of = "local function line_of(x) return key_of(x) .. '!' end\n"

    assert told(KEY + of, "f(line_of(a))\n") == "f(((prefix .. ':' .. a) .. '!'))\n"
