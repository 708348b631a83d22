"""The loader of scripts: names of a header become variables, includes are pasted in, and a header it cannot read is refused."""

import hashlib
from collections.abc import Callable, Iterator

import pytest
from redis.exceptions import NoScriptError, OutOfMemoryError, ResponseError

from runner.store import scripts
from runner.store.scripts import Argument, LuaFile, Script, assemble, load, parse, script_names

Loader = Callable[..., Script]


@pytest.fixture
def load_text(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loader]:
    """Load a script from its text, with includes by name."""

    def forget() -> None:
        scripts._file.cache_clear()
        scripts._after_its_includes.cache_clear()

    def load_it(text: str, **includes: str) -> Script:
        monkeypatch.setattr(
            scripts, "_read", {"it": text, **{f"include/{name}": include for name, include in includes.items()}}.__getitem__
        )
        forget()
        return load.__wrapped__("it")

    yield load_it
    forget()


HEADER = "-- it: does it\n-- KEYS: prefix\n-- ARGV: {}\n-- Returns: nothing\n-- include: {}\n"


def test_arguments_are_variables_in_the_order_of_the_header(load_text: Loader) -> None:
    script = load_text(HEADER.format("now_us, free (slots, at least 1), held...", "none") + "return now_us, free, held_at\n")

    assert script.arguments == ("now_us", "free")
    assert script.source.startswith("local now_us = ARGV[1]\nlocal free = ARGV[2]\nlocal held_at = 3\n")
    assert script.sha == hashlib.sha1(script.source.encode()).hexdigest()


def test_a_script_without_a_rest_has_no_place_for_it(load_text: Loader) -> None:
    assert "_at" not in load_text(HEADER.format("id", "none")).source


def test_an_include_may_do_without_a_header() -> None:
    assert parse("include/one", "local x") == LuaFile("include/one", "local x")


def test_includes_come_before_the_script_in_their_order(load_text: Loader) -> None:
    script = load_text(HEADER.format("id", "one, two") + "the script(id)", one="first include", two="second include")

    order = [script.source.index(part) for part in ("local id", "first include", "second include", "the script")]
    assert order == sorted(order)


def test_what_is_included_from_a_place_on_stands_there_once_with_its_arguments_at_the_top(load_text: Loader) -> None:
    script = load_text(
        HEADER.format("id", "one") + "the first part\n-- include from here on: one, two\nthe second part(id)\n",
        one="-- ARGV: a\nfirst include",
        two="-- ARGV: b\nsecond include",
    )

    order = [script.source.index(part) for part in ("local id", "first include", "the first part", "second include", "the second part")]
    assert order == sorted(order)
    assert script.source.count("first include") == 1
    assert script.arguments == ("a", "b", "id")


@pytest.mark.parametrize("argv", ["now_us, Free", "now_us,, free", "held..., free", "now us", "a..", "now_us free", "", "1st", "a-b"])
def test_a_header_that_cannot_be_read_is_refused_and_named(load_text: Loader, argv: str) -> None:
    with pytest.raises(ValueError, match=r"^header of it\.lua is not readable at '"):
        load_text(HEADER.format(argv, "none"))


@pytest.mark.parametrize("line", ["ARGV", "include"])
def test_a_header_that_lacks_a_line_is_refused(load_text: Loader, line: str) -> None:
    text = "\n".join(row for row in HEADER.format("id", "none").splitlines() if not row.startswith(f"-- {line}:"))
    with pytest.raises(ValueError, match=f"^header of it.lua has no line '{line}'$"):
        load_text(text)


def test_an_include_that_does_not_exist_is_refused(load_text: Loader) -> None:
    with pytest.raises(KeyError, match="include/missing"):
        load_text(HEADER.format("id", "missing"))


def test_a_call_puts_named_arguments_in_order_and_the_rest_behind_them(load_text: Loader) -> None:
    script = load_text(HEADER.format("now_us, id, more...", "none"))

    assert script.call("prefix", [b"x", 7], id="a", now_us=5) == ["EVALSHA", script.sha, "1", "prefix", 5, "a", b"x", 7]


@pytest.mark.parametrize("named", [{}, {"id": 1}, {"id": 1, "now_us": 2, "other": 3}, {"id": 1, "nowus": 2}])
def test_a_call_with_other_names_is_refused(load_text: Loader, named: dict[str, Argument]) -> None:
    script = load_text(HEADER.format("now_us, id", "none"))

    with pytest.raises(TypeError, match=r"^script it takes \('now_us', 'id'\), got "):
        script.call("prefix", **named)


def test_every_script_loads_and_no_include_is_one() -> None:
    names = script_names()

    assert {"submit", "claim", "finish", "refill", "reconcile"} < set(names)
    assert not {"base", "engine"} & set(names)
    assert [load(name).name for name in names] == names
    assert load("claim") is load("claim")


class ForgetfulRedis:
    """A server that has lost its scripts, or refuses them for another reason."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.commands: list[tuple[object, ...]] = []

    def execute_command(self, *args: object, **_: object) -> object:
        self.commands.append(args)
        if args[0] == "EVALSHA":
            raise self.error
        return "done"


def test_a_lost_script_is_sent_again_in_full_and_only_then(load_text: Loader) -> None:
    script, redis = load_text(HEADER.format("id", "none")), ForgetfulRedis(NoScriptError("NOSCRIPT"))

    assert script.run_in_thread(redis, "prefix", id="a") == "done"

    assert redis.commands == [("EVALSHA", script.sha, "1", "prefix", "a"), ("EVAL", script.source, "1", "prefix", "a")]


def test_any_other_error_is_not_answered_by_running_the_script_again(load_text: Loader) -> None:
    script, redis = load_text(HEADER.format("id", "none")), ForgetfulRedis(ResponseError("MISCONF"))

    with pytest.raises(ResponseError):
        script.run_in_thread(redis, "prefix", id="a")

    assert len(redis.commands) == 1


class FullRedis(ForgetfulRedis):
    """A server without memory: it lets a script pass that has written something."""

    def execute_command(self, *args: object, **_: object) -> object:
        self.commands.append(args)
        if args[0] == "EVALSHA":
            raise NoScriptError("NOSCRIPT")
        if not str(args[1]).startswith("redis.call('DEL', KEYS[1])"):
            raise OutOfMemoryError("command not allowed")
        return "done"


def test_a_script_refused_for_want_of_memory_goes_on_unless_it_brings_new_work(load_text: Loader) -> None:
    script, thread = load_text(HEADER.format("id", "none")), FullRedis(OutOfMemoryError())

    assert script.run_in_thread(thread, "prefix", id="a") == "done"
    assert [words[0] for words in thread.commands] == ["EVALSHA", "EVAL", "EVALSHA", "EVAL"]

    refused = load_text("-- full: refused\n" + HEADER.format("id", "none"))
    with pytest.raises(OutOfMemoryError):
        refused.run_in_thread(thread, "prefix", id="a")


def test_what_is_forced_already_stays_as_it_is(load_text: Loader) -> None:
    forced = load_text(HEADER.format("id", "none")).forced

    assert forced.forced is forced


def test_an_include_that_hides_an_argument_is_refused() -> None:
    script = LuaFile("reconcile", "the script", arguments=("worker", "leave"))
    include = LuaFile("include/lines", "local x\nlocal function leave(line)\nend")

    with pytest.raises(ValueError, match=r"^script reconcile: argument 'leave' is hidden by an include"):
        assemble(script, [include])
    with pytest.raises(ValueError, match=r"^script reconcile: argument 'leave' is hidden by an include"):
        assemble(script, late_includes=[include])


def test_a_declaration_inside_a_function_hides_nothing() -> None:
    script = LuaFile("reconcile", "the script", arguments=("worker",))

    assemble(script, [LuaFile("include/lines", "local function leave(line)\n  local worker = line\nend")])


NAMES = [f"name_{'abcdefghijklmnopqrstuvwxyz'[n % 26]}{n}" for n in range(90)]
MANY = "\n".join(f"local {name} = tonumber({n})" for n, name in enumerate(NAMES))


def test_what_follows_many_names_is_a_function_of_its_own(load_text: Loader) -> None:
    script = load_text(HEADER.format("id", "many") + f"return {NAMES[0]}", many=MANY)

    assert script.source.index(MANY) < script.source.index("return (function()") < script.source.index(f"return {NAMES[0]}")
    assert script.source.endswith("end)()")


@pytest.mark.parametrize(("used", "levels"), [(60, 1), (61, 0)])
def test_a_function_uses_no_more_names_from_outside_than_lua_lets_it(load_text: Loader, used: int, levels: int) -> None:
    script = load_text(HEADER.format("none", "many") + f"return {{{', '.join(NAMES[:used])}}}", many=MANY)

    assert script.source.count("return (function()") == levels


def test_names_in_comments_and_texts_and_of_fields_are_not_used(load_text: Loader) -> None:
    told = f"-- {NAMES[60]}\nlocal told = '{NAMES[61]}' .. x.{NAMES[62]}\n"
    script = load_text(HEADER.format("none", "many") + f"{told}return {{{', '.join(NAMES[:60])}}}", many=MANY)

    assert script.source.count("return (function()") == 1


def test_a_name_after_two_dots_is_used(load_text: Loader) -> None:
    script = load_text(HEADER.format("none", "many") + f"return '' ..{NAMES[60]}, {', '.join(NAMES[:60])}", many=MANY)

    assert script.source.count("return (function()") == 0
