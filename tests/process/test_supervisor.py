"""Worker processes under a supervisor: rolled under load, recycled, lost, and left alone. Real processes, killed by their own ids."""

import asyncio
import json
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from runner import Client, JobOptions
from tests.children import start_child
from tests.eventually import PATIENCE_S, eventually
from tests.servers import Server

APP = """
import asyncio, os
from pathlib import Path
from runner import Runner
jobs = Runner("supervised")
RUNS = Path(__file__).parent / "runs"

def note(text: str) -> None:
    descriptor = os.open(RUNS, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{text} {os.getpid()}\\n".encode())
    os.close(descriptor)

@jobs.task
async def nap(name: str, seconds: float = 0.0) -> str:
    note(name)
    await asyncio.sleep(seconds)
    return name

@jobs.task
async def grow(megabytes: int) -> int:
    held.append(bytearray(megabytes * 1_000_000))
    return len(held)

@jobs.task(retries=0)
async def fail() -> None:
    raise ValueError("no")

held: list[bytearray] = []
"""
QUICK = "import runner.cli.supervisor as s; s._FIRST_PAUSE_S = 0.05; from runner.cli import main; main()"
"""The command line, with a supervisor that starts what has ended again at once."""


class Supervised:
    """A supervisor, and what it and its workers have said: one JSON object a line."""

    def __init__(self, process: Process, folder: Path) -> None:
        self.process = process
        self._folder = folder
        self.said: list[dict[str, Any]] = []
        self.errors = ""
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        while line := (await self.process.stdout.readline()).decode():
            if line.startswith("{"):
                self.said.append(json.loads(line))
            else:
                self.errors += line

    def events(self, event: str) -> list[dict[str, Any]]:
        return [fields for fields in self.said if fields["event"] == event]

    async def says(self, event: str, times: int = 1) -> list[dict[str, Any]]:
        try:
            await eventually(lambda: len(self.events(event)) >= times or self.process.returncode is not None)
        except AssertionError as error:
            raise AssertionError(f"{event} was not said {times} times: {self.said}\n{self.errors}") from error
        assert len(self.events(event)) >= times, (self.said, self.errors)
        return self.events(event)

    @property
    def runs(self) -> list[tuple[str, int]]:
        """The name of each run of `nap`, and the process that ran it."""
        lines = (self._folder / "runs").read_text().split("\n") if (self._folder / "runs").exists() else []
        return [(name, int(pid)) for name, _, pid in (line.partition(" ") for line in lines if line)]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def hang_up(self) -> None:
        """Close the other end of its output."""
        transport: Any = self.process._transport  # type: ignore[attr-defined] # there is no public way to it
        transport.get_pipe_transport(1).close()
        await self._reading

    async def ended(self) -> int:
        async with asyncio.timeout(PATIENCE_S):
            await self._reading
            return await self.process.wait()

    async def end(self) -> None:
        """Its workers notice that it is gone."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        async with asyncio.timeout(PATIENCE_S):
            await self._reading  # until the last worker has closed the output


Start = Callable[..., Awaitable[Supervised]]


@pytest.fixture
async def start(private_server: Server, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts `worker --json` with these words, for the app of this file."""
    (tmp_path / "app.py").write_text(APP)
    environment = {
        **os.environ,
        "RUNNER_REDIS_URL": private_server.url,
        "RUNNER_APP": "app:jobs",
        "RUNNER_LEASE_S": "4",
        "RUNNER_RENEW_S": "0.5",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    async with AsyncExitStack() as stack:

        async def start(*words: str, **variables: str) -> Supervised:
            command = [sys.executable, "-c", QUICK, "worker", "--json", *words]
            process = await start_child(*command, cwd=tmp_path, env=environment | variables, stdout=PIPE, stderr=asyncio.subprocess.STDOUT)
            supervised = Supervised(process, tmp_path)
            stack.push_async_callback(supervised.end)
            return supervised

        yield start


@pytest.fixture
async def client(private_server: Server) -> AsyncIterator[Client]:
    async with Client("supervised", redis_url=private_server.url) as client:
        yield client


async def worker_pids(client: Client) -> set[int]:
    return {worker.pid for worker in await client.workers() if worker.pid is not None}


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not (stat := Path(f"/proc/{pid}/stat")).exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


async def test_a_rolling_restart_under_load_loses_no_job_and_runs_each_once(start: Start, client: Client) -> None:
    supervised = await start("--processes", "2")
    await supervised.says("working", 2)
    before = await worker_pids(client)
    names: list[str] = []

    async def produce() -> None:
        while True:
            batch = [f"n{len(names) + at}" for at in range(20)]
            names.extend(batch)
            for name in batch:
                await client.submit("nap", {"name": name, "seconds": 0.2}, JobOptions(id=name))
            await asyncio.sleep(0.05)

    producing = asyncio.create_task(produce())
    await eventually(lambda: len(supervised.runs) > 40)
    supervised.signal(signal.SIGHUP)
    await supervised.says("replaced", 2)
    producing.cancel()
    await asyncio.gather(producing, return_exceptions=True)

    assert {(await client.wait(name, PATIENCE_S)).state for name in names[:-20]} == {"succeeded"}
    await eventually(lambda: worker_pids(client))
    after = await worker_pids(client)
    assert len(before) == 2
    assert not before & after
    runs = [name for name, _ in supervised.runs]
    assert len(runs) == len(set(runs)), "a job ran twice"
    assert {pid for _, pid in supervised.runs} >= before
    assert [fields["signed_off"] for fields in supervised.events("stopped")] == [True] * 2
    supervised.signal(signal.SIGTERM)
    assert await supervised.ended() == 0


async def test_a_worker_that_is_killed_is_started_again_and_its_job_runs_again(start: Start, client: Client) -> None:
    supervised = await start("--processes", "1")
    await supervised.says("working")
    job = await client.submit("nap", {"name": "long", "seconds": 3600})
    await eventually(lambda: supervised.runs)
    ((_, killed),) = supervised.runs
    os.kill(killed, signal.SIGKILL)

    (ended,) = await supervised.says("ended")
    await eventually(lambda: len(supervised.runs) == 2)

    assert (ended["pid"], ended["code"]) == (killed, -9)
    assert (await job.status()).crashes == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_all_workers_and_ends_the_supervisor_with_them(start: Start, client: Client, number: signal.Signals) -> None:
    supervised = await start("--processes", "2")
    await supervised.says("working", 2)
    pids = await worker_pids(client)
    jobs = [await client.submit("nap", {"name": f"n{n}", "seconds": 1.0}) for n in range(8)]
    await eventually(lambda: len(supervised.runs) == 8)

    supervised.signal(number)

    assert await supervised.ended() == 0
    assert {(await job.status()).state for job in jobs} == {"succeeded"}
    assert not any(map(is_alive, pids))


async def test_it_ends_as_told_though_nobody_reads_what_it_says(start: Start, client: Client) -> None:
    supervised = await start("--processes", "1")
    await supervised.says("working")
    pids = await worker_pids(client)
    await supervised.hang_up()

    supervised.signal(signal.SIGHUP)
    await eventually(lambda: not any(map(is_alive, pids)))
    await eventually(client.workers)
    supervised.signal(signal.SIGTERM)

    async with asyncio.timeout(PATIENCE_S):
        assert await supervised.process.wait() == 0
    assert await client.workers() == []


async def test_interrupted_twice_it_gives_everything_back_at_once(start: Start, client: Client) -> None:
    supervised = await start("--processes", "1")
    await supervised.says("working")
    job = await client.submit("nap", {"name": "long", "seconds": 3600})
    await eventually(lambda: supervised.runs)

    supervised.signal(signal.SIGINT)
    await supervised.says("stopping")
    supervised.signal(signal.SIGINT)

    assert await supervised.ended() == 130
    status = await job.status()
    assert (status.state, status.crashes, status.failures) == ("queued", 0, 0)


@pytest.mark.fault("X08")
async def test_workers_whose_supervisor_is_killed_finish_their_jobs_and_leave(start: Start, client: Client) -> None:
    supervised = await start("--processes", "2")
    await supervised.says("working", 2)
    pids = await worker_pids(client)
    jobs = [await client.submit("nap", {"name": f"n{n}", "seconds": 1.0}) for n in range(4)]
    await eventually(lambda: len(supervised.runs) == 4)

    supervised.signal(signal.SIGKILL)

    assert {(await job.wait(PATIENCE_S)).state for job in jobs} == {"succeeded"}
    await eventually(lambda: not any(map(is_alive, pids)))
    assert [fields["signed_off"] for fields in await supervised.says("stopped", 2)] == [True, True]
    assert await client.workers() == []


@pytest.mark.parametrize(
    ("app", "words"), [("jobs = 3", "not a Runner"), ("from runner import Runner\njobs = Runner('a b')", "queue name 'a b'")]
)
async def test_an_app_that_cannot_start_ends_the_supervisor_with_the_code_of_its_worker(
    start: Start, tmp_path: Path, app: str, words: str
) -> None:
    (tmp_path / "bad.py").write_text(app)
    supervised = await start("--processes", "2", "--app", "bad:jobs")

    assert await supervised.ended() == 2
    assert words in supervised.errors
    assert supervised.events("failed")


async def test_a_process_that_has_run_its_jobs_is_replaced_and_none_is_cut(start: Start, client: Client) -> None:
    supervised = await start("--max-jobs", "20")
    await supervised.says("working")
    slow = await client.submit("nap", {"name": "slow", "seconds": 3.0})
    await eventually(lambda: supervised.runs)
    jobs = [await client.submit("nap", {"name": f"n{n}"}) for n in range(60)]

    assert {(await job.wait(PATIENCE_S)).state for job in [slow, *jobs]} == {"succeeded"}
    await supervised.says("draining")
    await supervised.says("working", 2)

    runs = [name for name, _ in supervised.runs]
    assert len(runs) == len(set(runs)) == 61
    assert not supervised.events("ended")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the memory of other processes is read from /proc")
async def test_a_process_that_holds_too_much_memory_is_replaced(start: Start, client: Client) -> None:
    supervised = await start("--max-memory", "300M")
    await supervised.says("working")
    job = await client.submit("grow", {"megabytes": 300})

    (draining,) = await supervised.says("draining")
    await supervised.says("working", 2)

    assert re.search(r"it holds \d{3} MB .*--max-memory", draining["text"])
    assert (await job.wait(PATIENCE_S)).state == "succeeded"


async def test_changed_code_is_served_by_fresh_workers_and_broken_code_waits_for_the_next_change(
    start: Start, client: Client, tmp_path: Path
) -> None:
    supervised = await start("--reload")
    await supervised.says("working")
    first = await client.submit("nap", {"name": "a"})
    assert await first.result(PATIENCE_S) == "a"

    (tmp_path / "app.py").write_text("this is no Python")
    await supervised.says("ended")
    (tmp_path / "app.py").write_text(APP.replace("return name", "return name + '!'"))
    await supervised.says("working", 2)

    assert await (await client.submit("nap", {"name": "b"})).result(PATIENCE_S) == "b!"
    assert supervised.errors.count("SyntaxError") == 1


async def test_workers_started_for_what_there_is_leave_when_it_is_done(start: Start, client: Client) -> None:
    first = await start("--until-idle")
    await first.says("idle")
    jobs = [await client.submit("nap", {"name": f"n{n}", "seconds": 0.1}) for n in range(30)]
    soon = await client.submit("nap", {"name": "soon"}, JobOptions(delay=2.0))
    await client.submit("nap", {"name": "late"}, JobOptions(delay=7_200))

    second = await start("--until-idle", "--processes", "2")

    assert (await first.ended(), await second.ended()) == (0, 0)
    assert {(await job.status()).state for job in [*jobs, soon]} == {"succeeded"}
    (idle,) = second.events("idle")
    assert (idle["soon"], idle["later"], idle["failed"]) == (0, 1, 0)
    assert 7_000 < idle["first_later_us"] / 1e6 <= 7_200


async def test_until_idle_ends_with_1_if_a_job_has_failed_meanwhile(start: Start, client: Client) -> None:
    first = await start("--until-idle")
    await first.says("idle")
    assert await first.ended() == 0
    await client.submit("fail", {})

    second = await start("--until-idle")

    assert await second.ended() == 1
    assert second.events("idle")[0]["failed"] == 1
