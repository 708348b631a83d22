"""What a script does not need is left out of it, and nothing else is."""

import re
from itertools import chain

import pytest

from runner.store import scripts
from runner.store.lean import lean, whole
from runner.store.lua_text import read, words_of

_DEFINED = re.compile(
    r"\bfunction ?([\w.]*)\(([\w, .]*)\)|\bfor ([\w, ]+) in\b|(?<![\w.])(\w+(?:, \w+)*) =(?!=)|\blocal ((?!function)[\w, ]+)$", re.MULTILINE
)


def leaned(*texts: str) -> str:
    return "".join(one.text for one in lean([read(text) for text in texts]))


def test_a_function_that_nothing_calls_is_left_out_and_so_is_what_only_it_uses() -> None:
    text = "local kept = f()\nlocal function helper()\n  return kept\nend\n\nlocal function unused()\n  return helper()\nend\n"

    assert leaned(text, "return kept\n") == "local kept = f()\nreturn kept\n"


def test_what_a_later_text_uses_stays_with_all_that_it_uses_itself() -> None:
    text = "local a = {\n  one = 1,\n}\nlocal function b() return a end\nlocal function c()\n  return b()\nend\n"

    assert leaned(text, "return c()\n") == text + "return c()\n"


def test_a_function_that_is_used_before_it_is_made_stays() -> None:
    text = "local late, unused\nlocal function early() return late() end\ndo\n  function late()\n    return 1\n  end\n\n  function unused() end\nend\n"

    assert leaned(text, "return early()\n") == text.replace("  function unused() end\n", "") + "return early()\n"


def test_a_declaration_that_calls_something_stays() -> None:
    text = "local answer = redis.call('INCR', 'a')\n"

    assert leaned(text, "return 1\n") == text + "return 1\n"


def test_a_part_that_would_be_made_when_it_is_asked_is_left_out_if_nothing_asks_it() -> None:
    text = "local part = lazily(function(part)\n  function part.f() return other end\n\n  return part\nend)\n"

    assert leaned(text, "return 1\n") == "return 1\n"
    assert leaned(text, "return part.f()\n") == text + "return part.f()\n"


def test_a_constant_stands_where_its_name_was_but_not_in_texts_remarks_and_fields() -> None:
    text = "local MOST, GROUP = 5, 'workers' -- MOST of them\n"
    use = "return { MOST + 1, 'MOST', t.MOST, GROUP .. MOSTLY, MOST } -- MOST\n"

    assert leaned(text, use) == "return { 5 + 1, 'MOST', t.MOST, 'workers' .. MOSTLY, 5 } -- MOST\n"


@pytest.mark.parametrize(
    "again",
    [
        "do\n  local MOST = 6\n  f(MOST)\nend\n",
        "f({ MOST = 6 })\n",
        "MOST = 6\n",
        "for MOST = 1, 2 do f(MOST) end\n",
        "f(function(MOST) end)\n",
    ],
)
def test_of_a_name_that_stands_for_more_than_a_constant_nothing_is_replaced(again: str) -> None:
    text = "local MOST = 5\n"

    assert leaned(text, again, "return MOST\n") == text + again + "return MOST\n"


def test_a_value_that_is_no_number_and_no_text_keeps_its_name() -> None:
    text = "local KEY = prefix .. 'a'\nlocal ALL = 2 * 3\n"

    assert leaned(text, "return KEY, ALL\n") == text + "return KEY, ALL\n"


@pytest.mark.parametrize("name", scripts.script_names())
def test_whatever_a_script_uses_is_in_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    small = scripts.load.__wrapped__(name).source
    monkeypatch.setattr(scripts, "lean", lambda texts: list(map(whole, texts)))
    entire = scripts.load.__wrapped__(name).source

    assert len(small) < len(entire)
    missing = (words_of(small) & _defined(entire)) - _defined(small)
    assert not missing


def _defined(source: str) -> set[str]:
    """Names that get a value or are parameters somewhere."""
    code = re.sub(r"--[^\n]*|'[^'\n]*'", "", source)
    return {name for names in chain.from_iterable(_DEFINED.findall(code)) for name in re.findall(r"\w+", names)}
