"""A script in functions inside functions does what it does without."""

import re

from runner.store import nesting
from runner.store.lean import whole
from runner.store.lua_text import read
from runner.store.nesting import nested

MANY = nesting._LONG_LIST


def names(letter: str, count: int) -> list[str]:
    return [f"{letter}{number}" for number in range(count)]


def told(*texts: str) -> list[str]:
    return nested([whole(read(text)) for text in texts])


def many(letter: str, count: int) -> str:
    return "".join(f"local {name} = {number}\n" for number, name in enumerate(names(letter, count)))


def test_few_names_stay_in_one_function() -> None:
    texts = [many("a", MANY - 1), "return a0\n"]

    assert told(*texts) == texts


def test_many_names_begin_a_function() -> None:
    assert told(many("a", MANY), "return a0\n")[1:] == ["return (function()", "return a0\n", "end)()"]


def test_names_beyond_what_a_function_can_use_of_others_are_its_arguments() -> None:
    begin, _, end = told(many("a", 70), f"return {' + '.join(names('a', 70))}\n")[1:]

    passed = re.findall(r"a\d+", begin)
    assert len(passed) == 10
    assert end == f"end)({', '.join(passed)})"


def test_a_name_whose_value_changes_is_never_an_argument() -> None:
    change = "local function later()\n" + "".join(f"  {name} = 0\n" for name in names("a", 50)) + "end\n"
    use = f"return {' + '.join([*names('a', 50), *names('b', 40)])}\n"

    begin = told(many("a", 50) + many("b", 40) + change, use)[1]

    assert set(re.findall(r"[ab]\d+", begin)) <= set(names("b", 40))
    assert len(re.findall(r"[ab]\d+", begin)) == 30


def test_no_function_begins_where_more_names_change_than_it_can_use() -> None:
    change = "local function later()\n" + "".join(f"  {name} = 0\n" for name in names("a", 61)) + "end\n"
    texts = [many("a", 61) + change, f"return {' + '.join(names('a', 61))}\n"]

    assert told(*texts) == texts


def test_a_function_that_was_declared_first_is_an_argument_only_once_it_is_written() -> None:
    first = f"local {', '.join(names('late', 5))}\n" + many("a", 100)
    written = many("b", MANY) + "do\n" + "".join(f"  function {name}() end\n\n" for name in names("late", 5)) + "end\n"
    others = f"f({', '.join(names('a', 100))})\n"
    use = f"return {' + '.join([*names('b', MANY), *names('late', 5)])}\n"

    begun = [line for line in told(first, written, others, others + others, use) if line.startswith("return (function(")]

    assert "late" not in begun[0]
    assert "late" in begun[1]
