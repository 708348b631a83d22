"""The bucket of a job: one for each value of its key, in a name that fits into keys, needs and lines."""

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from runner.errors import InvalidArguments
from runner.limits import Need, bucket_name, encode_needs, key_text_of, template_fields
from runner.limits.scalars import of_value

values = st.one_of(
    st.text(max_size=300),
    st.text(alphabet="%~/=;{}:@+, äß☃\n\x00\ud800", max_size=80),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
)


def name_of(value: object) -> str:
    return bucket_name("x", "{a}", {"a": value})


def test_a_limit_without_a_key_is_one_bucket() -> None:
    assert bucket_name("stripe", None, {"a": 1}) == "stripe"


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("t7", "x/t7"),
        (7, "x/7"),
        (7.5, "x/7.5"),
        (True, "x/True"),
        ("a-b_c.d", "x/a-b_c.d"),
        ("me@example.com", "x/me%40example.com"),
        ("a:b+c,d", "x/a:b+c,d"),
        ("", "x/%"),
        ("%", "x/%25"),
        ("~", "x/%7E"),
        ("a b", "x/a%20b"),
        ("a/b", "x/a%2Fb"),
        ("a=b;c", "x/a%3Db%3Bc"),
        ("{a}", "x/%7Ba%7D"),
        ("ä☃", "x/%C3%A4%E2%98%83"),
        ("\ud800", "x/%ED%A0%80"),
        ("٣", "x/%D9%A3"),
        ("y" * 64, "x/" + "y" * 64),
    ],
)
def test_a_value_is_quoted_where_it_must_be(value: object, name: str) -> None:
    assert name_of(value) == name


@given(values)
def test_a_name_is_short_and_has_no_separator(value: object) -> None:
    name = name_of(value)

    assert re.fullmatch(r"x/[A-Za-z0-9_.~%@:+,-]{1,64}", name)


@given(values, values)
def test_different_values_have_different_buckets(one: object, other: object) -> None:
    assume(str(of_value(one)) != str(of_value(other)))

    assert name_of(one) != name_of(other)


def test_a_long_value_keeps_its_beginning_and_ends_in_a_digest() -> None:
    one, other = name_of("y" * 65), name_of("y" * 66)

    assert one != other
    assert re.fullmatch(r"x/y{24}~[0-9a-f]{32}", one)


def test_no_value_can_be_made_to_look_like_the_digest_of_another() -> None:
    long = "y" * 65

    assert name_of(name_of(long).removeprefix("x/")) != name_of(long)


def test_several_arguments_make_one_key() -> None:
    template = "{tenant}-{region}"

    assert template_fields(template) == ("tenant", "region")
    assert bucket_name("x", template, {"tenant": "t7", "region": "eu", "other": 1}) == "x/t7:eu"


@pytest.mark.parametrize(
    ("args", "name"),
    [
        (("t", "u:v"), "x/t:u%3Av"),
        (("t:u", "v"), "x/t%3Au:v"),
        (("", "a~b c"), "x/:a%7Eb%20c"),
        (("%3A", 1.50), "x/%253A:1.5"),
        (("ä", True), "x/%C3%A4:True"),
    ],
)
def test_each_of_several_values_is_quoted_whole(args: tuple[object, object], name: str) -> None:
    named = dict(zip("ab", args, strict=True))

    assert {bucket_name("x", template, named) for template in ("{a}:{b}", "{a}{b}", "p-{a}/{b}")} == {name}
    assert f"x/{key_text_of(name.removeprefix('x/'), '{a}:{b}')}" == name


parts = st.text(alphabet="ab:%3A-~/ ", max_size=5) | st.text(alphabet="a:%", min_size=30, max_size=40)


@settings(max_examples=500)
@given(st.tuples(parts, parts, parts), st.tuples(parts, parts, parts), st.sampled_from(["{a}:{b}:{c}", "{a}{b}{c}", "{a}-{b}%{c}"]))
def test_different_values_of_several_arguments_have_different_buckets(one: Any, other: Any, template: str) -> None:
    assume(one != other)
    names = [bucket_name("x", template, dict(zip("abc", args, strict=True))) for args in (one, other)]

    assert names[0] != names[1]
    assert all(re.fullmatch(r"x/[A-Za-z0-9_.~%:-]{1,64}", name) for name in names)


@pytest.mark.parametrize(
    ("spellings", "name"),
    [
        ([Decimal("1.50"), Decimal("1.5"), Decimal("15E-1")], "x/1.5"),
        ([Decimal(100), Decimal("1E+2")], "x/100"),
        ([Decimal("-0.00"), Decimal(0)], "x/0"),
        ([datetime(2026, 3, 1, 12, tzinfo=UTC), datetime(2026, 3, 1, 21, tzinfo=timezone(timedelta(hours=9)))], "x/2026-03-01T12:00:00Z"),
        ([0.0, -0.0], "x/0.0"),
    ],
)
def test_what_code_takes_tokens_for_has_one_spelling_too(spellings: list[object], name: str) -> None:
    assert {name_of(value) for value in spellings} == {name}


@pytest.mark.parametrize("args", [{"a": None}, {}, {"a": {"b": 1}}, {"a": [1]}])
def test_an_argument_that_is_no_text_or_number_is_refused(args: dict[str, object]) -> None:
    message = f"limit 'x' takes its key from argument 'a', which is {args.get('a')!r}: give a text or a number"
    with pytest.raises(InvalidArguments, match=f"^{re.escape(message)}$"):
        bucket_name("x", "{a}", args)


def test_needs_are_encoded_in_order_of_name_and_so_is_their_line() -> None:
    assert encode_needs([Need("y", 2), Need("x/1", 30)]) == ("x/1=30;y=2", "1|x/1;y")
    assert encode_needs([Need("x/1", 1), Need("y", 1)])[1] == "1|x/1;y"
    assert encode_needs([Need("y", 1)], "tenant", 3, priority=2)[1] == "2|y@tenant*3"
    assert encode_needs([]) == ("", "")


@given(st.lists(st.tuples(values, st.integers(1, 2**40)), max_size=5, unique_by=lambda need: str(need[0])))
def test_encoded_needs_can_be_read_back(needs: list[tuple[object, int]]) -> None:
    wanted = {name_of(value): cost for value, cost in needs}

    limits, line = encode_needs([Need(name, cost) for name, cost in wanted.items()])

    assert {bucket: int(cost) for bucket, cost in re.findall(r"([^=;]+)=(\d+)", limits)} == wanted
    assert [name for name in line.removeprefix("1|").split(";") if name] == sorted(wanted)
