"""What happened at a limit, as columns for charts."""

from runner import HistoryRow, HttpClient, Runner, SlidingWindow, Spans, TokenBucket, Worker
from runner.access import AuditLine
from runner.http.limit_history import GRIDS, Range, columns_of, marks_of, pace_of
from tests.eventually import eventually
from tests.http.conftest import Service

NOW_S = 1_764_340_830.0


def line(at: float, action: str, after: str = "") -> AuditLine:
    return AuditLine(f"{at:.0f}-0", at, "cli:ana", "", "", action, "limit x", "", after)


def test_a_row_stands_at_its_minute_and_nothing_is_a_number_that_is_unknown() -> None:
    rows = [
        HistoryRow(NOW_S - 90, started=600, waiting_sum=412, taken=1_200, throttled=3, waited=Spans({11: 4})),
        HistoryRow(NOW_S - 30, started=30, taken=30),
    ]

    told = columns_of(
        GRIDS[Range.hour],
        NOW_S,
        TokenBucket("x", rate="10/s"),
        rows,
        [HistoryRow(NOW_S - 90, samples=1), HistoryRow(NOW_S - 30, samples=1)],
        [],
    )

    assert (len(told.started), told.every_s, told.begins.timestamp()) == (60, 60, NOW_S - 30 - 59 * 60)
    assert told.started[-3:] == [0.0, 10.0, 1.0], "the present minute is 30 s old"
    assert told.taken[-2:] == [20.0, 1.0]
    assert told.throttled[-2:] == [3, 0]
    assert told.p50_s[-3:-1] == [None, 2**10.5 / 1_000]
    assert (set(told.limit), told.waiting[-3:]) == ({10.0}, [None, 412.0, 0.0]), "what nobody looked at is unknown, and no line is 0"


def test_what_operators_did_is_marked_until_somebody_ended_it() -> None:
    marks = marks_of([line(100, "pause"), line(160, "resume"), line(200, "freeze", "30 s: 429"), line(300, "pause")])

    assert [(mark.what, mark.begins.timestamp(), mark.to and mark.to.timestamp()) for mark in marks] == [
        ("paused", 100.0, 160.0),
        ("frozen", 200.0, 230.0),
        ("paused", 300.0, None),
    ]
    assert {mark.by for mark in marks} == {"cli:ana"}


def test_only_a_limit_with_one_pace_has_one() -> None:
    assert pace_of(SlidingWindow("x", 60, per=60)) == 1.0
    assert pace_of(TokenBucket("x", rate="5/s", key="{k}")) is None


async def test_the_history_of_a_limit_is_told_over_http(app: Runner, service: Service, worker: Worker) -> None:
    secrets = [(await app.client.keys.create(preset, preset=preset)).secret for preset in ("admin", "observer")]
    admin, observer = [{"authorization": f"Bearer {secret}"} for secret in secrets]
    await app.client.control.pause("tenant", "repair")
    await app.client.submit("scarce", {"number": 1})

    async def started() -> bool:
        told = (await service.http.get("/v1/limits/slow/history", params={"range": "1h"}, headers=admin)).json()
        return bool(sum(told["started"]) > 0 and len(told["taken"]) == 60)

    await eventually(started)
    told = (await service.http.get("/v1/limits/tenant/history", params={"range": "24h"}, headers=admin)).json()
    assert [(mark["what"], mark["to"]) for mark in told["marks"]] == [("paused", None)]
    assert {"from", "every_s"} <= told.keys()
    assert (await service.http.get("/v1/limits/nobody/history", headers=admin)).status_code == 404
    assert (await service.http.get("/v1/limits/slow/history", params={"range": "2h"}, headers=admin)).status_code == 422
    seen = await service.http.get("/v1/limits/tenant/history", headers=observer)
    assert seen.json()["marks"] == []
    async with HttpClient(service.url, key=secrets[1]) as client:
        (series,) = await client.history("l:slow", step="hour")
        assert sum(row.taken for row in series.rows) == sum(row.started for row in series.rows) == 1
