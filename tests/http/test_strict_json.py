"""The strict JSON reader, without HTTP."""

import json

import pytest

from runner.http.problems import Problem
from runner.http.strict_json import MAX_DEPTH, MAX_VALUES, load


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": [1, 2.5, true, null, "x"]}', {"a": [1, 2.5, True, None, "x"]}),
        (b' {"a": {"b": 1}, "c": {"b": 1}} ', {"a": {"b": 1}, "c": {"b": 1}}),
        (b'"\\ud83d\\ude00 \\u0000 \\\\ud800"', "\U0001f600 \x00 \\ud800"),
        ('"\ufeff"'.encode(), "\ufeff"),
        (b"9" * 400, 10**400 - 1),
        (b"1e-400", 0.0),
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, None),
    ],
)
def test_what_every_reader_understands_alike_is_read(body: bytes, value: object) -> None:
    assert load(body) == value or value is None


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "invalid-json"),
        (b"  ", "invalid-json"),
        (b'{"a": 1', "invalid-json"),
        (b"{'a': 1}", "invalid-json"),
        (b'{"a": 1} x', "invalid-json"),
        (b'{"a": 1,}', "invalid-json"),
        (b'"\n"', "invalid-json"),
        ("{}".encode("utf-16-le"), "invalid-json"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "json-too-deep"),
        (b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), "json-too-deep"),
        (b'[{"a":' * (MAX_DEPTH // 2) + b"[]" + b"}]" * (MAX_DEPTH // 2), "json-too-deep"),
        (b"[" * 100_000, "json-too-deep"),
        (b"[" * 40_000 + b"]" * 40_000, "json-too-deep"),
        (b"[NaN]", "invalid-number"),
        (b"[Infinity]", "invalid-number"),
        (b"[-Infinity]", "invalid-number"),
        (b"[1e400]", "invalid-number"),
        (b"[-1e400]", "invalid-number"),
        (b"1" + b"0" * 400 + b".0", "invalid-number"),
        (b"9" * 5000, "invalid-number"),
        (b"-" + b"9" * 5000, "invalid-number"),
        (b'{"a": 1, "a": 1}', "duplicate-key"),
        (b'[{"b": {"a": 1, "\\u0061": 2}}]', "duplicate-key"),
        (b'"\\ud800"', "invalid-encoding"),
        (b'{"\\uDC00": 1}', "invalid-encoding"),
        (b'"\xff"', "invalid-encoding"),
        (b'"\xed\xa0\x80"', "invalid-encoding"),
        (b"\xef\xbb\xbf{}", "invalid-encoding"),
        ("{}".encode("utf-16"), "invalid-encoding"),
    ],
)
def test_what_readers_could_understand_differently_is_refused(body: bytes, kind: str) -> None:
    with pytest.raises(Problem) as refused:
        load(body)
    assert refused.value.kind == kind
    assert len(refused.value.detail) < 200


def test_a_duplicate_at_the_end_of_a_large_object_is_found_at_once() -> None:
    body = b"{" + b"".join(b'"k%d":0,' % number for number in range(45_000)) + b'"k44999":0}'
    with pytest.raises(Problem, match="'k44999' occurs twice"):
        load(body)


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"{}," * MAX_VALUES + b"{}]",
        b"[" + b"[]," * MAX_VALUES + b"[]]",
        b"[" + b"1," * 2 * MAX_VALUES + b"1]",
        b"[" + b'"",' * 3 * MAX_VALUES + b'""]',
        b"{" + b'"a":{' * MAX_VALUES,
        b'["' + b'\\"",' * MAX_VALUES,
    ],
)
def test_more_values_than_there_may_be_are_refused_before_they_are_made(body: bytes) -> None:
    with pytest.raises(Problem) as refused:
        load(body)
    assert refused.value.kind in ("too-many-values", "invalid-json", "json-too-deep")
    if body.endswith(b"]"):
        assert refused.value.kind == "too-many-values"


def test_a_text_counts_once_whatever_is_in_it() -> None:
    text = 'a,[{\\" b' * MAX_VALUES
    assert load(json.dumps({"csv": text, "values": [0] * (MAX_VALUES // 2)}).encode())["csv"] == text
