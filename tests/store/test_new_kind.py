"""A kind of limit that is written here and nowhere else: with its row in `KINDS` everything in Python handles it."""

from collections.abc import Mapping
from typing import Any, Self

import pytest
from typing_extensions import override

from runner.asgi.allowance import Allowance
from runner.asgi.rule import Rule
from runner.cli.simulate.chart import chart_of, limit_words, within_words
from runner.cli.simulate.grammar import limit_forms, parse_limit
from runner.client.catalog import PublishedTask
from runner.client.control import Control
from runner.clock import MICROSECONDS
from runner.errors import ConfigurationError
from runner.jobs.job_options import JobOptions
from runner.jobs.task_spec import TaskSpec
from runner.limits import KINDS, Bucket, Limit, LimitText, limit_of
from runner.limits.limit_text import Form
from runner.limits.rates import parse_rate
from runner.simulation import JobGroup, simulate
from runner.store.job_store import JobStore


class Spaced(Limit):
    """Starts that are at least `per` seconds apart."""

    kind = "spaced"
    numbers = frozenset({"per"})
    forms = (Form("spaced", "spaced:5s"),)

    window_us: int

    def __init__(self, name: str, *, per: float, key: str | None = None) -> None:
        super().__init__(name, 1, key)
        self.window_us = self.fill_us = self._span_us("per", per)

    @property
    @override
    def rate(self) -> str:
        return f"1 each {self.window_us / MICROSECONDS:g} s"

    @property
    @override
    def period_us(self) -> int:
        return self.window_us

    @override
    def _most_within(self, window_us: int) -> int:
        return 1 + window_us // self.window_us

    @override
    def full_bucket(self, now_us: int) -> Bucket:
        return _Gap(self.window_us, now_us)

    @override
    def fields(self) -> dict[str, Any]:
        return {"gap_us": self.window_us}

    @classmethod
    @override
    def from_policy(cls, policy: Mapping[str, Any]) -> Self:
        return cls(policy["name"], per=policy["gap_us"] / MICROSECONDS, key=policy["key"])

    @classmethod
    @override
    def from_text(cls, text: LimitText) -> Self:
        return cls(text.name, per=parse_rate(f"1/{text.body}")[1] / MICROSECONDS, key=text.key)

    @override
    def _changed(self, given: Mapping[str, Any]) -> Self:
        return type(self)(self.name, per=given["per"], key=self.key)


class _Gap(Bucket):
    """When the next start may be."""

    def __init__(self, gap_us: int, now_us: int) -> None:
        self._gap_us = gap_us
        self._next_us = now_us

    @override
    def wait_us(self, cost: int, now_us: int, reserved: int = 0) -> int | None:
        return max(self._next_us + reserved * self._gap_us - now_us, 0)

    @override
    def take(self, cost: int, now_us: int, holder: str) -> None:
        self._next_us = now_us + self._gap_us

    @override
    def give_back(self, holder: str, now_us: int) -> None: ...

    @override
    def felt_us(self, due_us: int, now_us: int) -> int:
        return self._gap_us

    @override
    def each_us(self, cost: int, now_us: int) -> float:
        return self._gap_us


LIMIT = Spaced("x", per=5)


@pytest.fixture
def row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the new kind."""
    monkeypatch.setitem(KINDS, Spaced.kind, Spaced)


@pytest.mark.usefixtures("row")
async def test_it_is_published_overridden_and_shown(store: JobStore) -> None:
    await store.publish({}, [LIMIT])
    control = Control(lambda: store)

    status = await control.override("x", per=2, duration=60, reason="sale")

    assert (status.code, status.policy) == (LIMIT, Spaced("x", per=2))
    assert status.document()["policy"] == {"kind": "spaced", "rate": "1 each 2 s", "capacity": 1, "key": None, "gap_s": 2.0}
    assert status.policy.words == "1 each 2 s"
    with pytest.raises(ConfigurationError, match=r"has no number 'rate' \(it has: per\)"):
        await control.override("x", rate="1/s")
    assert (await control.pause("x", "repair")).paused is not None


@pytest.mark.usefixtures("row")
async def test_its_tasks_are_submitted_by_name(store: JobStore) -> None:
    await store.publish({}, [Spaced("x", per=5, key="{tenant}")])

    task = PublishedTask(TaskSpec("work", {}, ("x",)), await store.policies())

    assert task.prepare({"tenant": "t7"}, JobOptions()).limits == "x/t7=1"


@pytest.mark.usefixtures("row")
def test_it_is_written_on_the_command_line_and_played_ahead_of_time() -> None:
    limit = parse_limit("x=spaced:5s")
    assert limit == LIMIT
    assert "NAME=spaced:5s" in limit_forms()

    drain = simulate(TaskSpec("work", {}, ("x",)), [limit], [JobGroup("a", 3)], slots=10)

    assert [at_us for at_us, _ in drain.starts] == [0, 5 * MICROSECONDS, 10 * MICROSECONDS]
    (report,) = drain.limits
    assert (report.worst, report.bound, report.utilisation, report.window_us) == (2, 2, 1.0, 5 * MICROSECONDS)
    assert (limit_words(limit), within_words(report)) == ("1 each 5 s", "in any 5 s")
    assert chart_of(drain, 60).bound == 1


def test_it_holds_the_callers_of_an_app() -> None:
    allowance = Allowance.of(Rule(limit=LIMIT).limit)

    assert (allowance.quota, allowance.window_s, allowance.resets) == (1, 5, False)


async def test_a_version_without_the_row_shows_it_and_submits_its_jobs(store: JobStore) -> None:
    await store.publish({}, [LIMIT])

    (status,) = await store.limits()

    assert (status.name, status.policy.kind, status.policy.published()) == ("x", "spaced", LIMIT.published())
    assert status.document()["code"] == LIMIT.document()
    assert PublishedTask(TaskSpec("work", {}, ("x",)), {"x": status.policy}).prepare({}, JobOptions()).limits == "x=1"
    with pytest.raises(ConfigurationError, match="it has: none"):
        await Control(lambda: store).override("x", per=2)


@pytest.mark.usefixtures("row")
@pytest.mark.parametrize("strange", [{"gap_us": "soon"}, {"gap_us": None}, {"gap_us": -1}, {"name": "no name"}])
def test_numbers_that_only_a_newer_version_understands_are_kept_as_they_are(strange: dict[str, Any]) -> None:
    policy = LIMIT.published() | strange

    assert limit_of(policy).published() == policy
