"""One form of a call: by code and by name the same spelling has the same JSON, key and fingerprint, or both doors refuse it."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.client.catalog import PublishedTask
from runner.errors import InvalidArguments, SubmissionRefused
from runner.jobs import Calls, JobOptions, NamedArguments, Submission, TaskDefinition, TaskSpec
from runner.limits import Limit, TokenBucket
from tests.unit.kinds_of_type import (
    KINDS,
    Aliased,
    Box,
    Camel,
    Cat,
    Colour,
    Dog,
    Level,
    Named,
    Nested,
    Numbers,
    Plain,
    Point,
    Raw,
    RawBase64,
    Size,
    Tree,
)

KEYED = TokenBucket("keyed", rate="10/s", key="{value}")
OWN_ID = JobOptions(id="own")


class Doors(NamedTuple):
    """The two ways to submit one task."""

    by_code: Callable[[dict[str, Any]], Submission]
    by_name: Callable[[dict[str, Any]], Submission]


@cache
def task_of(hint: Any, *limits: Limit) -> TaskDefinition:
    def work(value: Any, other: int = 3) -> None: ...

    work.__annotations__ = {"value": hint, "other": int}
    return TaskDefinition.of(work, {"limits": limits})


def published(task: TaskDefinition) -> TaskSpec:
    """The spec of a task, as another process reads it."""
    return TaskSpec.from_json(json.loads(task.spec.to_json()))


@cache
def doors_of(hint: Any, *limits: Limit) -> Doors:
    """The doors of a task with one argument of this type."""
    task = task_of(hint, *limits)
    spec = published(task)
    arguments, calls = NamedArguments(spec.name, spec.form), Calls(spec, limits, by_code=False)
    return Doors(lambda args: task.prepare((), args, OWN_ID), lambda args: calls.prepare(arguments.encode(args), OWN_ID))


def doors(kind: str) -> Doors:
    return doors_of(KINDS[kind].hint)


def spelling(value: Any) -> Any:
    return value.value if isinstance(value, Named) else value


SPELLINGS = [(name, number, value) for name, kind in KINDS.items() for number, group in enumerate(kind.one) for value in group]


def same_call(by_code: Submission, by_name: Submission) -> bool:
    """Whether the doors agree; a set may be written in another order."""
    parts = sorted(by_code.args), sorted(by_name.args)
    return parts[0] == parts[1] and (by_code.call, by_code.limits, by_code.line) == (by_name.call, by_name.limits, by_name.line)


@pytest.mark.parametrize(("name", "number", "value"), SPELLINGS, ids=[f"{name}-{number}" for name, number, _ in SPELLINGS])
def test_each_spelling_is_the_same_call_by_code_and_by_name(name: str, number: int, value: Any) -> None:
    if isinstance(value, Named):
        pytest.skip("a spelling of JSON alone")
    for args in ({"value": value}, {"other": "4", "value": value}, {"value": value, "other": 3}):
        by_code, by_name = doors(name).by_code(args), doors(name).by_name(args)
        assert same_call(by_code, by_name), (by_code, by_name)


@pytest.mark.parametrize("name", KINDS)
def test_all_spellings_of_a_value_have_one_fingerprint_and_other_values_another(name: str) -> None:
    groups = [{doors(name).by_name({"value": spelling(value)}).call for value in group} for group in KINDS[name].one]

    assert [len(group) for group in groups] == [1] * len(groups)
    same = [group for group in groups if groups.count(group) > 1]
    assert len(same) == (2 if name == "datetime" else 0)  # its last group spells the instant of the first


@pytest.mark.parametrize("name", KINDS)
def test_what_does_not_fit_is_refused_by_both_doors(name: str) -> None:
    for value in KINDS[name].refused:
        with pytest.raises(InvalidArguments, match=r"^task 'work': "):
            doors(name).by_name({"value": spelling(value)})
        if not isinstance(value, Named):
            with pytest.raises(InvalidArguments, match=r"^task 'work': "):
                doors(name).by_code({"value": value})
    for args in ({}, {"value": KINDS[name].one[0][0], "more": 1}):
        with pytest.raises(InvalidArguments):
            doors(name).by_name({name: spelling(value) for name, value in args.items()})


@pytest.mark.parametrize("name", KINDS)
def test_a_default_said_aloud_is_the_same_call(name: str) -> None:
    args = {"value": spelling(KINDS[name].one[0][0])}

    assert len({doors(name).by_name({**args, **more}).call for more in ({}, {"other": 3}, {"other": "3"}, {"other": 3.0})}) == 1
    assert doors(name).by_name({**args, "other": 4}).call != doors(name).by_name(args).call


def _bucket(submit: Callable[[dict[str, Any]], Submission], value: Any) -> str:
    try:
        return submit({"value": value}).limits
    except SubmissionRefused as error:
        return type(error).__name__


@pytest.mark.parametrize("name", KINDS)
def test_no_spelling_chooses_a_bucket(name: str) -> None:
    kind = KINDS[name]
    keyed = doors_of(kind.hint, KEYED)
    for group in kind.one:
        by_name = {_bucket(keyed.by_name, spelling(value)) for value in group}
        by_code = {_bucket(keyed.by_code, value) for value in group if not isinstance(value, Named)}
        assert len(by_name) == 1
        assert by_name == (by_code if kind.is_key else {"InvalidArguments"})
    assert bool(published(task_of(kind.hint, KEYED)).by_code_only) is (not kind.is_key)


def test_by_name_the_message_says_what_only_the_code_knows() -> None:
    words = r"limit 'keyed' takes its key from 'value', whose form only the code knows \(validator\): submit it by code, or use a type that"
    with pytest.raises(InvalidArguments, match=f"^{words}"):
        doors_of(KINDS["validator"].hint, KEYED).by_name({"value": "a"})


@pytest.mark.parametrize(
    "form",
    [
        {"k": "object", "t": "typed", "fields": [{"n": "value", "f": {"k": "str", "casefold": True}}]},
        {"k": "object", "t": "typed", "fields": [{"n": "value", "f": {"k": "uuid"}}], "c": {"novel": 1}},
        {"k": "object", "t": "novel", "fields": [{"n": "value", "f": {"k": "uuid"}}]},
        {"k": "object", "t": "typed", "fields": [{"n": "value", "f": {}}]},
        {"k": "novel"},
    ],
    ids=["option", "config", "object", "damaged", "kind"],
)
def test_of_a_form_that_is_not_understood_arguments_are_sent_as_they_are_and_keys_refused(form: Any) -> None:
    plain, keyed = (PublishedTask(TaskSpec("work", {}, names, form=form), {"keyed": KEYED}) for names in ((), ("keyed",)))

    assert plain.prepare({"value": "A", "more": [1.0]}, OWN_ID).args == b'{"value":"A","more":[1.0]}'
    with pytest.raises(InvalidArguments, match="whose form only the code knows"):
        keyed.prepare({"value": "A"}, OWN_ID)


def test_a_kind_that_is_not_known_makes_one_argument_opaque() -> None:
    fields = [{"n": "value", "f": {"k": "novel"}}, {"n": "other", "f": {"k": "int"}}]
    task = PublishedTask(TaskSpec("work", {}, form={"k": "object", "t": "typed", "fields": fields}), {})

    assert task.prepare({"value": [" A"], "other": "7"}, OWN_ID).args == b'{"value":[" A"],"other":7}'
    with pytest.raises(InvalidArguments, match="other: Input should be a valid integer"):
        task.prepare({"value": 1, "other": "x"}, OWN_ID)


def test_the_form_survives_json() -> None:
    for kind in KINDS.values():
        task = task_of(kind.hint)
        assert json.loads(json.dumps(task.spec.form)) == task.spec.form


# Any values

_ZONES = st.sampled_from([None, UTC, timezone(timedelta(hours=9)), timezone(timedelta(minutes=-90)), timezone(timedelta(hours=14))])
_DECIMALS = st.builds(lambda digits, exponent: Decimal(digits).scaleb(exponent), st.integers(-30, 30), st.integers(-2, 2))


def _instant(hours: int, zone: timezone | None, micros: int) -> datetime:
    at = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=hours, microseconds=micros)
    return at.astimezone(zone) if zone else at.replace(tzinfo=None)


_INSTANTS = st.builds(_instant, st.integers(0, 3), _ZONES, st.sampled_from([0, 0, 10]))
_TIMES = st.builds(time, st.integers(0, 23), st.sampled_from([0, 30]), tzinfo=_ZONES)
_FLOATS = st.one_of(st.sampled_from([0.0, -0.0, 1.0, 1e22]), st.floats(allow_nan=False, allow_infinity=False))
_PLAINS = st.builds(Plain, number=st.integers(0, 2), at=st.none() | _INSTANTS, price=_DECIMALS)
_BOXES = st.builds(Box, st.integers(0, 2), st.sets(st.text(max_size=1), max_size=3))
_TREES: st.SearchStrategy[Tree] = st.recursive(
    st.builds(Tree, value=st.integers(0, 1)),
    lambda trees: st.builds(Tree, value=st.integers(0, 1), children=st.lists(trees, max_size=2)),
    max_leaves=4,
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "int": st.integers() | st.integers(0, 3),
    "float": _FLOATS,
    "bool": st.booleans(),
    "str": st.text(max_size=2) | st.text(),
    "folded": st.text(alphabet="aAbB \t", max_size=3),
    "uuid": st.uuids() | st.just(UUID(int=1)),
    "date": st.dates() | st.dates(date(2026, 1, 1), date(2026, 1, 3)),
    "datetime": _INSTANTS | st.datetimes(timezones=_ZONES),
    "time": _TIMES,
    "timedelta": st.timedeltas(min_value=timedelta(-99), max_value=timedelta(99)) | st.sampled_from([timedelta(0), timedelta(1)]),
    "decimal": _DECIMALS | st.decimals(allow_nan=False, allow_infinity=False),
    "bytes": st.binary(max_size=2) | st.binary(),
    "enum": st.sampled_from(Colour),
    "int enum": st.sampled_from(Level),
    "text enum": st.sampled_from(Size),
    "literal": st.sampled_from(["a", 1]),
    "optional": st.none() | st.uuids(),
    "list": st.lists(st.integers(0, 2), max_size=3),
    "list of decimals": st.lists(_DECIMALS, max_size=2),
    "set": st.sets(st.integers(0, 9)),
    "frozenset": st.frozensets(_INSTANTS, max_size=3),
    "tuple": st.tuples(st.integers(0, 1), st.text(max_size=1)),
    "tuple of any length": st.lists(st.uuids(), max_size=3).map(tuple),
    "named tuple": st.builds(Point, st.integers(0, 1), _DECIMALS),
    "dict": st.dictionaries(st.text(max_size=1), st.integers(0, 1), max_size=3),
    "dict by uuid": st.dictionaries(st.uuids(), _DECIMALS, max_size=3),
    "dict by instant": st.dictionaries(_INSTANTS, st.integers(0, 1), max_size=3),
    "dataclass": _BOXES,
    "typed dict": st.fixed_dictionaries({"depth": st.integers(0, 2)}, optional={"note": st.text(max_size=1)}),
    "model": _PLAINS,
    "aliases": st.builds(Aliased, customerId=st.uuids(), remark=st.sampled_from(["-", "x"])),
    "alias generator": st.builds(Camel, firstName=st.text(max_size=1), lastOrder=st.dates()),
    "recursive": _TREES,
    "tagged": st.builds(Cat, kind=st.just("cat"), lives=st.integers(8, 9)) | st.builds(Dog, kind=st.just("dog"), price=_DECIMALS),
    "root model": st.builds(Numbers, st.sets(st.integers(0, 3))),
    "bytes in a model": st.builds(Raw, data=st.text(max_size=3).map(str.encode)),
    "base64 in a model": st.builds(RawBase64, data=st.binary(max_size=3)),
    "nested": st.builds(
        Nested,
        boxes=st.lists(_BOXES, max_size=2),
        by_id=st.dictionaries(st.uuids(), _PLAINS, max_size=2),
        options=st.none() | st.just({"depth": 1}),
    ),
    "union": st.integers(0, 3) | st.sampled_from(["0", "1", "a"]),
    "union of shapes": st.sets(st.integers(0, 3)) | _DECIMALS | _PLAINS,
}


def stored(name: str, value: Any) -> Submission:
    return doors(name).by_code({"value": value})


def seen(name: str, job: Submission) -> Any:
    """What the handler gets."""
    return task_of(KINDS[name].hint).arguments.decode(job.args)["value"]


@pytest.mark.parametrize("name", VALUES)
@settings(max_examples=60)
@given(data=st.data())
def test_what_the_code_sends_is_sent_by_name_too(name: str, data: st.DataObject) -> None:
    by_code = stored(name, data.draw(VALUES[name]))

    by_name = doors(name).by_name(json.loads(by_code.args))

    assert same_call(by_code, by_name)
    assert stored(name, seen(name, by_name)).call == by_code.call


@pytest.mark.parametrize("name", VALUES)
@settings(max_examples=60)
@given(data=st.data())
def test_two_calls_are_one_if_the_handler_gets_equal_values(name: str, data: st.DataObject) -> None:
    one, other = (stored(name, data.draw(VALUES[name])) for _ in range(2))

    assert (one.call == other.call) is (seen(name, one) == seen(name, other))


@pytest.mark.parametrize("name", ["uuid", "datetime", "time", "decimal", "folded", "int", "float", "date", "enum", "bytes", "timedelta"])
@settings(max_examples=60)
@given(data=st.data())
def test_two_jobs_share_a_bucket_if_the_handler_gets_equal_keys(name: str, data: st.DataObject) -> None:
    keyed = doors_of(KINDS[name].hint, KEYED)
    one, other = (keyed.by_code({"value": data.draw(VALUES[name])}) for _ in range(2))

    assert (one.limits == other.limits) is (seen(name, one) == seen(name, other))
