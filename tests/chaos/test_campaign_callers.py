"""The guards of a campaign's accounts of versions, producers and providers: each must be able to fail."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from runner.connection.client import command
from tests.chaos.campaign.books import Books
from tests.chaos.campaign.calls import FIRST_BY_NAME, FIRST_PLAIN, FIRST_PROBE, NEW, OLD, Call
from tests.chaos.campaign.ledger import KEYS
from tests.chaos.campaign.odd_provider import ANSWERS, Says
from tests.chaos.campaign.posts import Post
from tests.chaos.campaign.probes import Probes
from tests.chaos.campaign.words import understood
from tests.chaos.campaign.workload import Workload
from tests.proxy import Proxy
from tests.unit.provider_answers import UNREADABLE

S = 1_000_000
CHARGE = Call("charge", {"number": 1})
GREET = Call("greet", {"number": 1, "note": "x"}, version=NEW)


# Versions


@pytest.mark.parametrize("submitted_by", [OLD, NEW])
async def test_a_run_without_a_limit_of_its_workers_version_is_found(books: Books, submitted_by: int) -> None:
    books.calls = dict.fromkeys((1, 2, 3), Call("charge", {"number": 1}, version=submitted_by))
    await books.starts(1, "books=1", 10 * S, version=OLD)
    await books.starts(2, "books=1;fraud=1", 11 * S, version=NEW)
    await books.starts(3, "books=1", 12 * S, version=NEW)

    (found,) = (await books.findings())["without its limit"]
    assert found.startswith(f"attempt 1 of job c3 (charge of version {submitted_by}, by version {NEW}) began without ['fraud']")


async def test_a_run_that_the_log_of_starts_does_not_know_is_found(books: Books) -> None:
    books.calls[1] = CHARGE
    books.runs(1)

    assert "is not in the log of starts" in (await books.findings())["without its limit"][0]


async def test_a_spelling_that_has_a_bucket_of_its_own_is_found(books: Books) -> None:
    shouted = "A7E1F3C0-D2B4-4C5E-9F0A-1B2C3D4E5F60"
    for number, bucket in ((FIRST_BY_NAME, shouted.lower()), (FIRST_BY_NAME + 1, shouted)):
        books.calls[number] = Call("per_account", {"number": str(number), "account": f"urn:uuid:{shouted}"}, version=NEW)
        await books.starts(number, f"accounts/{bucket}=1", 10 * S)

    findings = await books.findings()
    assert [len(findings[what]) for what in ("without its limit", "wrong bucket")] == [1, 1]
    assert f"c{FIRST_BY_NAME + 1} " in findings["wrong bucket"][0]


async def test_a_job_under_the_keys_of_both_versions_is_well_and_under_another_one_is_found(books: Books) -> None:
    books.calls = dict.fromkeys((1, 2), Call("ship", {"number": 1, "tenant": "t1", "region": "east"}))
    await books.starts(1, "parcels/t1=1;parcels/east=1", 10 * S, version=NEW)
    await books.starts(2, "parcels/t1=1;parcels/west=1", 11 * S)

    assert list(await books.findings()) == ["wrong bucket"]


async def test_another_cost_than_that_of_the_version_that_submitted_is_found(books: Books) -> None:
    books.calls = {number: Call("print_out", {"number": 1}, version=number) for number in (OLD, NEW)}
    await books.starts(OLD, "pages=2", 10 * S, version=NEW)
    await books.starts(NEW, "pages=2", 11 * S, version=OLD)

    findings = await books.findings()
    assert list(findings) == ["wrong cost"]
    assert f"c{OLD} " in findings["wrong cost"][0]


async def test_a_bound_is_that_of_the_newer_numbers(books: Books) -> None:
    books.calls = dict.fromkeys(range(10), CHARGE)
    for number in range(10):
        await books.starts(number, "books=1", 10 * S + number)

    assert await books.findings() == {"over a limit": ["4 tokens of books too many in some window"]}


def look(books: Books, *new_workers: str, until_s: int, every_s: float = 0.5) -> None:
    """What the leases are from the last look until then."""
    at_s = books.looked_s
    while at_s <= until_s:
        books.ledger.versions.note_look(round(at_s * S), {worker: round((at_s + 3) * S) for worker in new_workers})
        at_s += every_s
    books.looked_s = at_s


async def test_a_job_of_the_new_task_that_waits_while_a_new_worker_lives_is_found_and_without_one_it_waits_as_long_as_it_takes(
    books: Books,
) -> None:
    books.calls = dict.fromkeys((1, 2), Call("refund", {"number": 1}, version=NEW))
    look(books, until_s=100)
    look(books, "new", until_s=150)
    look(books, until_s=200)
    look(books, "newer", until_s=230)
    for number, submitted_s in ((1, 20), (2, 140)):
        books.ledger.versions.note_submission(number, submitted_s * S)
        await books.starts(number, "books=1;refunds=1!", 225 * S + number, version=NEW)
        await books.ends(number)

    findings = await books.findings()
    assert list(findings) == ["held up"]
    assert findings["held up"][0].startswith("job c1 (refund) waited 7")


async def test_a_job_that_any_worker_can_run_may_not_wait_for_a_minute(books: Books) -> None:
    books.calls[1] = CHARGE
    books.ledger.versions.note_submission(1, 10 * S)
    await books.starts(1, "books=1", 71 * S)

    assert list(await books.findings()) == ["held up"]


@pytest.mark.parametrize(("lives", "found"), [(["new"], ["dead letters"]), ([], [])], ids=["a new worker lives", "none lives"])
async def test_a_dead_letter_of_a_new_argument_is_found_if_a_live_worker_could_have_read_it(
    books: Books, redis: Redis, lives: list[str], found: list[str]
) -> None:
    now_s = (await redis.time())[0]
    books.calls[1] = GREET
    books.looked_s = now_s - 5
    look(books, *lives, until_s=now_s + 5)
    await books.ends(1, state="failed", error=("InvalidArguments", "task 'greet': note: Extra inputs are not permitted"))

    assert list(await books.findings()) == found
    assert books.ledger.dead_letters.excused == ([] if found else [1])


async def test_a_worker_that_came_or_left_between_two_looks_did_not_surely_live(books: Books) -> None:
    versions = books.ledger.versions
    for at_s, leases in ((1, {}), (2, {"a": 5}), (3, {"a": 6}), (4, {"b": 7}), (9, {"b": 12})):
        versions.note_look(at_s * S, {worker: until_s * S for worker, until_s in leases.items()})

    assert [versions.surely_had_a_new_worker(round(at_s * S)) for at_s in (0.5, 1.5, 2.5, 3.5, 8.0, 9.5)] == [0, 0, 1, 0, 0, 0]


# Dead letters


async def test_a_dead_letter_that_nothing_asked_for_is_found(books: Books) -> None:
    books.calls = {1: CHARGE, 2: Call("doomed", {}), 3: Call("refund", {}, version=NEW), 4: CHARGE}
    await books.ends(1, state="failed", error=("InvalidArguments", "x"))
    await books.ends(2, state="failed", error=("RuntimeError", "as planned"))
    await books.ends(3, state="failed", error=("UnknownTask", "x"))
    await books.ends(4, state="failed", error=("poison", "its worker was lost 3 times"))
    await books.ends(FIRST_PROBE + 1, state="failed", error=("InternalError", "x"))

    found = (await books.findings())["dead letters"]
    assert [line.partition(" (")[0] for line in found] == ["job c1", "job c3", f"job c{FIRST_PROBE + 1}"]


# Producers in processes of their own


async def test_a_job_that_a_producer_by_name_was_answered_is_lost_if_it_has_no_outcome(books: Books) -> None:
    for number in (FIRST_BY_NAME, FIRST_BY_NAME + 1):
        books.told("Q", number, 10 * S)
    books.told("A", FIRST_BY_NAME)

    assert await books.findings() == {"lost": [f"job c{FIRST_BY_NAME} was accepted and has not ended"]}


async def test_a_result_that_plain_code_did_not_expect_is_found(books: Books) -> None:
    books.told("R", FIRST_PLAIN)
    books.told("W", FIRST_PLAIN + 1, "'7'", "instead of", 7)
    books.told("L", FIRST_PLAIN + 2)

    assert await books.findings() == {"wrong result": [f"plain code got '7' instead of 7 of job c{FIRST_PLAIN + 1}"]}


# Providers

TOLD = (
    "2026-11-29 12:00:00,000 WARNING job c{number} ({task}): the provider behind odd/{answer} said wait, {phrase};"
    " nothing starts at odd/{answer} for 1 s; how often this job was throttled: 1\n"
)
SPOKEN = {
    Says.time: "for 120 s",
    Says.nothing: "without saying how long",
    Says.unreadable: "for a time that cannot be read: 'soon; nothing starts at x'",
}


def log(books: Books, *answers: tuple[int, str]) -> None:
    """What a worker writes of answers to jobs of the same number."""
    books.calls |= {answer: Call("oddly_told", {"number": answer, "answer": answer}) for answer, _ in answers}
    lines = [TOLD.format(number=answer, task="oddly_told", answer=answer, phrase=phrase) for answer, phrase in answers]
    (books.folder / "worker-0-0.log").write_text("".join(lines))
    books.ledger.words.read_logs(books.folder)


async def test_every_answer_that_is_told_as_what_it_is_is_well(books: Books) -> None:
    log(books, *((number, SPOKEN[answer.says]) for number, answer in enumerate(ANSWERS)))

    assert await books.findings() == {}
    assert books.ledger.words.says.total() == len(ANSWERS)
    assert books.ledger.words.says[Says.unreadable] >= len(UNREADABLE)


@pytest.mark.parametrize("says", list(Says))
@pytest.mark.parametrize("told", [*SPOKEN.values(), "for ever"])
async def test_an_answer_that_is_told_as_what_it_is_not_is_found(books: Books, says: Says, told: str) -> None:
    number = next(number for number, answer in enumerate(ANSWERS) if answer.says is says)
    log(books, (number, told))

    assert list(await books.findings()) == ([] if understood(told) is says else ["misunderstood"])


async def test_an_answer_that_ends_jobs_and_that_no_log_tells_of_is_found(books: Books) -> None:
    number = next(number for number, answer in enumerate(ANSWERS) if answer.says is Says.unreadable)
    for job in range(1000, 1003):
        books.calls[job] = Call("oddly_refused", {"number": job, "answer": number})
        await books.ends(job, state="failed", error=("Throttled", f"the provider behind odd/{number} said wait, {SPOKEN[Says.unreadable]}"))
    (found,) = (await books.findings())["never told"]
    assert found.startswith("an answer that ended 3 jobs")

    log(books, (number, SPOKEN[Says.unreadable]))
    assert await books.findings() == {}


async def test_a_last_word_that_is_not_what_was_said_is_found(books: Books) -> None:
    number = next(number for number, answer in enumerate(ANSWERS) if answer.says is Says.unreadable)
    books.calls[1] = Call("oddly_refused", {"number": 1, "answer": number})
    await books.ends(1, state="failed", error=("Throttled", f"the provider behind odd/{number} said wait, for 5 s"))

    assert list(await books.findings()) == ["misunderstood"]


# Processes and probes


@pytest.fixture
async def post(direct_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Post]:
    """A post for a process that works until its input ends, and logs what its settings say."""
    code = "import json, sys; print(json.loads(sys.argv[3])['says'], file=sys.stderr); print('working', flush=True); sys.stdin.read()"
    (tmp_path / "idle.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    async with Proxy(direct_url) as proxy:
        post = Post("worker-0", proxy, tmp_path, {"says": "12:00 INFO at work"}, "idle")
        yield post
        await post.clear()


async def test_a_process_that_leaves_by_itself_is_found_and_one_that_is_killed_on_purpose_is_not(post: Post) -> None:
    await post.start()
    assert post.works
    post.signal(signal.SIGKILL)
    assert not post.works, "whoever asks at once is told so too"
    await post.ended()
    await post.start()
    assert post.works
    assert post.tracebacks == []

    os.kill(post.pid, signal.SIGKILL)
    await post.ended()
    await post.clear()

    (found,) = post.tracebacks
    assert "left by itself" in found


@pytest.mark.parametrize("line", ["Traceback (most recent call last):", "12:00 CRITICAL a defect of the worker"])
async def test_a_defect_in_a_log_is_found(post: Post, line: str) -> None:
    post.settings["says"] = f"12:00 INFO as always\n    Traceback of an attempt, indented\n{line}\n..."
    await post.start()
    await post.clear()

    (found,) = post.tracebacks
    assert line in found


@pytest.mark.parametrize(
    ("state", "reason", "waits"),
    [("scheduled", "no worker", True), ("queued", None, False), ("scheduled", "bounced", False), ("running", None, False)],
)
async def test_a_job_without_a_worker_must_say_so(books: Books, redis: Redis, state: str, reason: str | None, waits: bool) -> None:
    probes = Probes(Workload("redis://127.0.0.1:1/0", None, NEW), books.ledger, redis)
    key = KEYS.job(f"c{FIRST_PROBE}")
    await command(redis, "HSET", key, "state", state, *(() if reason is None else ("reason", reason)))
    await command(redis, "EXPIRE", key, 60)

    assert await probes.says_that_it_waits(FIRST_PROBE) is waits
    await command(redis, "DEL", key)
