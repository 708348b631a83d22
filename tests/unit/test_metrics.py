"""Pages of metrics against the table and the document; labels that stay few; one reading for all who ask; the answers to probes."""

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from runner.errors import ConfigurationError, MissingExtra
from runner.jobs import Ending, Outcome, StartedJob
from runner.limits import ProviderCount
from runner.telemetry import (
    METRICS,
    MOST_LABELS,
    OTHER,
    QUEUE,
    WORKER,
    Answer,
    Figures,
    HomeFigures,
    Labels,
    LimitFigures,
    Metric,
    PoolFigures,
    ProbeServer,
    QueuePage,
    SharedCounts,
    SharedReading,
    Status,
    WorkerCounts,
    WorkerGauges,
    WorkerPage,
    page,
    shared_counts,
    status_of,
    written,
)
from runner.telemetry.shared_counts import HomeCounts, InHand
from tests import pages
from tests.eventually import eventually
from tests.unit.test_docs import table

prometheus = pytest.importorskip("prometheus_client")
parser = pytest.importorskip("prometheus_client.parser")

DOCUMENT = pages.page("metrics.md").read_text()
LIMIT = LimitFigures("openai", 100, 7, 3, 1, 0.0, is_paused=False, is_overridden=True, provider=ProviderCount(5, 9, datetime.now(UTC), 40))
FIGURES = Figures(
    jobs={("queued", ""): 2, ("waiting", "line"): 3},
    limits=(LIMIT, replace(LIMIT, name="tenant", available=None, provider=None)),
    pools=(PoolFigures("default", 2, 1, 0, 1),),
    workers=1,
    slots=100,
    stuck_slots=0,
    has_leader=True,
    oldest_wait_s=1.5,
    memory_bytes=1,
    memory_max_bytes=0,
    homes=(HomeFigures("openai", 30, 60, 4),),
)
GAUGES = WorkerGauges(is_ready=True, leads=True, slots=100, in_use=3, stuck=1, undelivered=0, stalls=2, defects=0)


def job(task: str = "charge", limits: str = "openai=1;tenant/t7=2!", entry: bytes = b"1000-0") -> StartedJob:
    return StartedJob(0, entry, "j1", task, b"{}", 1, 0, limits)


async def filled() -> WorkerCounts:
    """Counts with a value in every family."""
    counts = WorkerCounts(["charge"], ["openai", "tenant"])

    async def attempt(_: StartedJob) -> None: ...

    await counts.around_attempt(attempt)(job())
    counts.note_accepted(Outcome(job(), Ending.failed, b'{"type":"ValueError","message":"no"}'))
    counts.note_accepted(Outcome(job(), Ending.throttled, b"{}", freeze="openai"))
    counts.note_times(job(), 1_002_000, 900_000)
    counts.note_release_delay(0.002)
    counts.note_renewal("renewed")
    counts.on_loop.note("claim", 0.001, None)
    counts.on_loop.note("claim", 0.001, TimeoutError())
    counts.beside.note("heartbeat", 0.001, None)
    home = counts.shared.of("acme")
    for used in (100, 107):
        home.note_hands([("openai", "openai", 3, 20, used), ("tenant/t7", "tenant", 1, 0, 5)])
    home.note_failure()
    home.note_call(0.002, ["openai"])
    return counts


def test_of_looks_that_see_a_part_of_many_hands_all_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr(shared_counts, "monotonic_s", lambda: now_s)
    home = HomeCounts()
    for used in (10, 12, 15):
        home.note_hands([("tenant/a", "tenant", 1, 2, used)], is_partial=True)
        now_s += 4.0
        home.note_hands([("tenant/b", "tenant", 3, 4, 2 * used)], is_partial=True)
    assert home.used["tenant"] == 5 + 10
    assert home.hands["tenant"] == InHand(4, 6)
    now_s += 7.0
    assert home.hands["tenant"] == InHand(3, 4), "what no look has seen for long counts no more"
    home.note_hands([("tenant/b", "tenant", 1, 0, 31)])
    assert (home.used["tenant"], home.hands["tenant"]) == (16, InHand(1, 0))


def families(*pages: Any) -> dict[str, Any]:
    """What Prometheus's own parser reads of a page; a counter by its full name."""
    found = parser.text_string_to_metric_families(written(*pages).body.decode())
    return {f"{one.name}_total" if one.type == "counter" else one.name: one for one in found}


def shape(family: Any) -> tuple[str, set[str]]:
    """The type, and the labels of all samples but for the bound of a histogram."""
    return family.type, {name for sample in family.samples for name in sample.labels} - {"le"}


async def test_a_page_has_every_metric_of_the_table_with_its_type_and_labels() -> None:
    found = families(WorkerPage("shop", GAUGES, await filled()), QueuePage("shop", FIGURES))

    assert {name: shape(family) for name, family in found.items()} == {
        metric.name: (metric.kind.value, {"queue", *metric.labels}) for metric in METRICS
    }
    assert {name: family.documentation for name, family in found.items()} == {metric.name: metric.help for metric in METRICS}


@pytest.mark.parametrize(("header", "metrics"), [("metric of the worker", WORKER), ("metric of the queue", QUEUE)])
def test_the_document_has_every_metric_with_its_type_labels_and_meaning(header: str, metrics: tuple[Metric, ...]) -> None:
    rows = [(row.code(0), row.cells[1], row.code(2), row.cells[3]) for row in table(DOCUMENT, header)]

    assert rows == [([metric.name], metric.kind.value, list(metric.labels), metric.help) for metric in metrics]


async def test_no_label_can_hold_a_key_or_a_job() -> None:
    assert {label for metric in METRICS for label in metric.labels} == {
        "result",
        "task",
        "outcome",
        "kind",
        "limit",
        "call",
        "state",
        "reason",
        "pool",
        "scope",
    }
    text = written(WorkerPage("shop", GAUGES, await filled())).body.decode()

    assert "t7" not in text
    assert "j1" not in text


async def test_what_is_counted_has_the_values_that_were_counted() -> None:
    text = written(WorkerPage("shop", GAUGES, await filled())).body.decode()

    for line in (
        'runner_attempts_total{outcome="failed",queue="shop",task="charge"} 1.0',
        'runner_attempt_errors_total{kind="ValueError",queue="shop"} 1.0',
        'runner_shared_in_hand{limit="openai",queue="shop"} 3.0',
        'runner_shared_wanted{limit="openai",queue="shop"} 20.0',
        'runner_shared_used_total{limit="openai",queue="shop"} 7.0',
        'runner_shared_home_seconds_bucket{le="0.0025",queue="shop",scope="acme"} 1.0',
        'runner_shared_home_errors_total{queue="shop",scope="acme"} 1.0',
        'runner_shared_home_away_seconds{queue="shop",scope="acme"} 0.0',
        'runner_limit_throttled_total{limit="openai",queue="shop"} 1.0',
        'runner_limit_starts_total{limit="tenant",queue="shop"} 1.0',
        'runner_wait_seconds_sum{queue="shop",task="charge"} 0.102',
        'runner_wait_seconds_bucket{le="0.1",queue="shop",task="charge"} 0.0',
        'runner_wait_seconds_bucket{le="0.5",queue="shop",task="charge"} 1.0',
        'runner_token_to_start_seconds_sum{limit="openai",queue="shop"} 0.002',
        'runner_redis_calls_total{call="claim",queue="shop"} 2.0',
        'runner_redis_errors_total{kind="TimeoutError",queue="shop"} 1.0',
        'runner_redis_calls_total{call="heartbeat",queue="shop"} 1.0',
        'runner_worker_slots_stuck{queue="shop"} 1.0',
    ):
        assert line in text.splitlines()


async def test_tasks_limits_and_errors_without_end_are_told_together() -> None:
    counts = WorkerCounts((f"task{number}" for number in range(1_000)), ["openai"])

    async def attempt(_: StartedJob) -> None: ...

    for number in range(1_000):
        one = job(f"task{number}", f"made-up{number}=1")
        await counts.around_attempt(attempt)(one)
        counts.note_accepted(Outcome(one, Ending.failed, f'{{"type":"Error{number}"}}'.encode()))
        counts.on_loop.note("", 0.0, None)
    found = families(WorkerPage("shop", GAUGES, counts))

    assert len(found["runner_attempts_total"].samples) == 2 * MOST_LABELS + 1
    assert len(found["runner_attempt_errors_total"].samples) == 51
    assert {sample.labels["limit"] for sample in found["runner_limit_starts_total"].samples} == {OTHER, "openai"}
    assert sum(sample.value for sample in found["runner_attempts_total"].samples) == 1_000


def test_limits_beyond_those_that_are_named_are_added_up() -> None:
    limits = tuple(replace(LIMIT, name=f"l{number:03}", waiting=number) for number in range(MOST_LABELS + 100))
    found = families(QueuePage("shop", replace(FIGURES, limits=limits)))
    waiting = {sample.labels["limit"]: sample.value for sample in found["runner_limit_waiting"].samples}

    assert len(waiting) == MOST_LABELS + 1
    assert waiting[OTHER] == sum(range(100))
    assert waiting["l299"] == 299
    assert OTHER not in {sample.labels["limit"] for sample in found["runner_limit_capacity"].samples}


async def test_a_worker_that_leads_no_more_tells_of_no_hands_and_keeps_its_totals() -> None:
    counts = await filled()
    counts.shared.of("acme").note_failure()
    counts.shared.rest()
    found = families(WorkerPage("shop", GAUGES, counts))

    assert found["runner_shared_in_hand"].samples == found["runner_shared_heard_seconds"].samples == []
    assert [sample.value for sample in found["runner_shared_used_total"].samples] == [7, 0]
    assert [sample.value for sample in found["runner_shared_home_away_seconds"].samples] == [0]


def test_a_home_is_away_from_its_first_failure_to_its_next_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr(shared_counts, "monotonic_s", lambda: now_s)
    home = SharedCounts().of("acme")
    home.note_failure()
    now_s = 131.0
    home.note_failure()
    assert (home.away_s(), home.errors) == (31.0, 2)
    home.note_answer()
    assert home.away_s() == 0


def test_figures_that_cannot_be_read_are_left_out() -> None:
    assert set(families(QueuePage("shop", None))) == {"runner_queue_read"}
    unknown = families(QueuePage("shop", replace(FIGURES, memory_bytes=None, oldest_wait_s=None)))
    assert unknown["runner_redis_memory_bytes"].samples == []
    assert unknown["runner_oldest_wait_seconds"].samples == []


def test_names_are_escaped() -> None:
    text = written(QueuePage('a"b\nc', FIGURES)).body.decode()

    assert 'queue="a\\"b\\nc"' in text


@pytest.mark.parametrize(("name", "told"), [("x" * 200, OTHER), ("a\nb", OTHER), ("ValueError", "ValueError")])
def test_labels_that_are_learnt_are_words(name: str, told: str) -> None:
    assert Labels(learns=True).of(name) == told
    assert Labels(["known"]).of(name) == OTHER


def test_without_the_library_the_line_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> Any:
        raise ModuleNotFoundError("No module named 'prometheus_client'", name="prometheus_client")

    page._writer.cache_clear()
    monkeypatch.setattr(page, "import_module", missing)
    line = re.escape("metrics needs the package prometheus-client, which is not installed: pip install 'metered-runner[metrics]'")
    with pytest.raises(MissingExtra, match=line):
        page.require_writer()


async def test_those_who_ask_at_the_same_time_or_within_a_second_share_one_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s, calls, gate = 100.0, 0, asyncio.Event()
    monkeypatch.setattr("runner.telemetry.shared_reading.monotonic_s", lambda: now_s)

    async def read() -> int:
        nonlocal calls
        calls += 1
        await gate.wait()
        return calls

    reading = SharedReading(read)
    asking = [asyncio.create_task(reading.get()) for _ in range(50)]
    left = asyncio.create_task(reading.get())
    await asyncio.sleep(0)
    left.cancel()
    gate.set()
    assert set(await asyncio.gather(*asking)) == {1}
    now_s = 101.0
    assert await reading.get() == 1
    now_s = 101.1
    assert await reading.get() == 2
    await reading.close()


async def test_a_reading_that_fails_is_told_to_all_and_tried_again() -> None:
    calls = 0

    async def read() -> int:
        nonlocal calls
        calls += 1
        if calls == 1:
            await asyncio.sleep(0)
            raise RuntimeError("away")
        return calls

    reading = SharedReading(read)
    first = await asyncio.gather(*(reading.get() for _ in range(3)), return_exceptions=True)
    assert [str(error) for error in first] == ["away"] * 3
    assert await reading.get() == 2


async def ask(port: int, text: str = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n") -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(text.encode())
    try:
        return (await reader.read()).decode()
    except ConnectionResetError:  # closed with what was not read
        return ""
    finally:
        writer.close()
        with suppress(ConnectionResetError):
            await writer.wait_closed()


@pytest.fixture
def status() -> dict[str, Status]:
    return {"is": Status(holds=True)}


async def test_probes_are_answered_by_what_holds(status: dict[str, Status]) -> None:
    async def broken() -> Answer:
        raise RuntimeError("no page")

    server = ProbeServer({"/readyz": status_of(lambda: status["is"]), "/metrics": broken})
    await server.start("127.0.0.1", 0)
    try:
        cases: list[tuple[str, int, str]] = [
            ("GET /readyz HTTP/1.1\r\n\r\n", 200, '{"status":"ok"}'),
            ("GET /readyz?x=1 HTTP/1.0\r\n\r\n", 200, '{"status":"ok"}'),
            ("GET /nothing HTTP/1.1\r\n\r\n", 404, "there is /readyz, /metrics"),
            ("POST /readyz HTTP/1.1\r\n\r\n", 405, "ask by GET"),
            ("nonsense\r\n\r\n", 400, "HTTP/1.1"),
            ("GET /metrics HTTP/1.1\r\n\r\n", 500, "the log says why"),
        ]
        for text, code, words in cases:
            head, _, body = (await ask(server.port, text)).partition("\r\n\r\n")
            assert head.startswith(f"HTTP/1.1 {code} "), text
            assert words in body
        assert (await ask(server.port, "HEAD /readyz HTTP/1.1\r\n\r\n")).endswith("\r\n\r\n")
        status["is"] = Status(holds=False, why="it drains")
        answer = await ask(server.port, "GET /readyz HTTP/1.1\r\n\r\n")
        assert answer.startswith("HTTP/1.1 503 ")
        assert "it drains" in answer
        assert await ask(server.port, "x" * 20_000 + "\r\n\r\n") == ""
    finally:
        await server.close()


async def test_who_asks_slowly_or_too_often_at_once_holds_nobody_up(monkeypatch: pytest.MonkeyPatch, status: dict[str, Status]) -> None:
    monkeypatch.setattr("runner.telemetry.probes._LONGEST_S", 2.0)
    server = ProbeServer({"/healthz": status_of(lambda: status["is"])})
    await server.start("127.0.0.1", 0)
    try:
        idle = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(64)]
        await eventually(lambda: len(server._open) == 64)
        assert await ask(server.port) == ""
        for reader, writer in idle:
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()
        assert (await ask(server.port)).startswith("HTTP/1.1 200 ")
    finally:
        await server.close()


async def test_a_port_that_is_taken_is_an_error_with_its_name() -> None:
    none: dict[str, Callable[[], Any]] = {}
    first, second = ProbeServer(none), ProbeServer(none)
    await first.start("127.0.0.1", 0)
    with pytest.raises(ConfigurationError, match=rf"on 127\.0\.0\.1 port {first.port}"):
        await second.start("127.0.0.1", first.port)
    await first.close()
