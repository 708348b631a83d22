"""Every row of `KINDS`: published and read back, and complete where a kind has a part that is not Python, or a door of its own."""

import inspect
import json
from pathlib import Path

import pytest

from runner.cli.limits import set_limit
from runner.http.limit_schemas import LimitBody
from runner.limits import KINDS, Concurrency, Limit, Quota, SlidingWindow, TokenBucket, limit_of
from tests.pages import page

ROOT = Path(__file__).parents[2]
LIMITS = [
    TokenBucket("x", rate="10/s", burst=3, key="{a}"),
    TokenBucket("x", rate="7/1500ms"),
    TokenBucket("x", capacity=10, refill=2, every=2.5),
    SlidingWindow("x", 5, per=0.000_007),
    Concurrency("x", 5, key="{id}"),
    Quota("x", 5, per="day", tz="Europe/Berlin", on_exhausted="fail"),
]


@pytest.mark.parametrize("limit", LIMITS, ids=repr)
def test_a_limit_is_what_was_published_of_it(limit: Limit) -> None:
    published = json.loads(limit.to_json()) | {"version": 3, "at_us": "1", "until_us": "2", "reason": "added by a script"}

    read = limit_of(published)

    assert (type(read), read, repr(read)) == (type(limit), limit, repr(limit))


def test_the_published_text_says_that_tokens_come_back() -> None:
    texts = [json.loads(limit.to_json()) for limit in LIMITS]

    assert [text["kind"] for text in texts if text.get("gives_back")] == ["concurrency"]


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.__name__)
def test_a_kind_has_its_scripts_and_its_words_in_the_documents(kind: type[Limit]) -> None:
    script = (ROOT / f"runner/store/lua/include/{kind.kind}.lua").read_text()
    documents = {name: page(f"{name}.md").read_text() for name in ("limits", "simulate")}

    assert f"kinds.{kind.kind} = " in script
    assert f"- **{kind.__name__}" in documents["limits"]
    for form in kind.forms:
        assert f"={form.example.partition(' ')[0]}" in documents["simulate"]


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.__name__)
def test_every_number_can_be_changed_over_http_and_on_the_command_line(kind: type[Limit]) -> None:
    assert kind.numbers <= LimitBody.model_fields.keys()
    assert kind.numbers <= inspect.signature(inspect.unwrap(set_limit)).parameters.keys()
