"""A provider's door that nobody here wrote: nginx's `limit_req`, whose access log says what it refused. An app that calls it, and its account.

python -m tests.outside.metered_door --calls 2000 --jitter 0.25
"""

import argparse
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx

from runner import Client, JobRequest, Runner, Settings, TokenBucket
from tests.outside.served import ROOT, process
from tests.servers import Server, free_port
from tests.topologies import until

RATE, BURST = 20, 20
APP = "tests.outside.metered_door:jobs"
CONFIGURATION = """daemon off; pid {folder}/pid; error_log {folder}/error; worker_processes 1;
events {{}}
http {{
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  limit_req_zone $server_port zone=account:1m rate={rate}r/s; limit_req_status 429;
  log_format status '$status $msec'; access_log off;
  server {{
    listen 127.0.0.1:{port}; root {folder}/pages; keepalive_requests 100000;
    location /pay {{ limit_req zone=account burst={burst} nodelay; access_log {folder}/calls status; }}
  }}
}}
"""
"""`limit_req` allows for one call more than its burst at once: what is declared here is the provider's rate, and its burst.

It counts by what is never empty: calls with an empty key are not counted at all, and a server without a name has an empty `$server_name`.
"""


@asynccontextmanager
async def connected(_: Runner[httpx.AsyncClient]) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose first call finds a connection and a resolved name: else it arrives late, together with those after it."""
    async with httpx.AsyncClient(base_url=os.environ["DOOR_URL"], timeout=60) as http:
        await http.get("/")
        yield http


jobs = Runner("door", lifespan=connected)
provider = TokenBucket("provider", rate=f"{RATE}/s", burst=BURST, jitter=float(os.environ.get("DOOR_JITTER", "0")))


@jobs.task(limits=[provider], retries=0)
async def pay(number: int) -> int:
    """One call; what the provider says is the result, and nobody is told to wait."""
    answer: httpx.Response = await jobs.state.get("/pay")
    return answer.status_code


class Door(NamedTuple):
    """A provider that runs."""

    url: str
    log: Path

    def answers(self) -> Counter[str]:
        """How often it answered with each status, by its own log."""
        return Counter(line.partition(" ")[0] for line in self.log.read_text().splitlines())

    def times(self, status: str) -> list[float]:
        """When it answered so, in seconds since 1970."""
        lines = [line.split() for line in self.log.read_text().splitlines()]
        return [float(words[1]) for words in lines if len(words) == 2 and words[0] == status]


@contextmanager
def door(nginx: str) -> Iterator[Door]:
    """A provider that permits `RATE` calls a second and `BURST` at once."""
    with tempfile.TemporaryDirectory(prefix="runner-door-") as name:
        folder, port = Path(name), free_port()
        (folder / "pages").mkdir()
        for file in ("pay", "index.html"):
            (folder / "pages" / file).write_text("ok")
        folder.chmod(0o755)
        (folder / "conf").write_text(CONFIGURATION.format(folder=folder, port=port, rate=RATE, burst=BURST))
        with subprocess.Popen([nginx, "-p", folder, "-c", folder / "conf"]) as process:
            try:
                _wait_for(f"http://127.0.0.1:{port}/")
                yield Door(f"http://127.0.0.1:{port}", folder / "calls")
            finally:
                process.terminate()


class Judged(NamedTuple):
    """answers: how often the provider answered with each status. was_late: a worker has warned that it was held up for longer than the jitter."""

    answers: Counter[str]
    was_late: bool


def answers_to(nginx: str, calls: int, *, jitter: float, workers: int = 2) -> Judged:
    """What the provider answers to so many calls of real workers with a backlog, if this jitter is declared."""
    with door(nginx) as provider:
        given = {"DOOR_URL": provider.url, "DOOR_JITTER": str(jitter)}
        with backlog(Work(APP, jobs.queue, "pay", calls), given, workers=workers) as logs:
            until(lambda: provider.answers().total() >= calls, within_s=60 + 2 * calls / RATE)
            was_late = any("Declare a larger jitter" in log.read_text() for log in logs.iterdir())
        return Judged(provider.answers(), was_late)


class Work(NamedTuple):
    """So many jobs of a task that is called with a number, of an app and its queue."""

    app: str
    queue: str
    task: str
    calls: int


@contextmanager
def backlog(work: Work, given: dict[str, str], *, workers: int) -> Iterator[Path]:
    """Workers, with these variables in their environment, and jobs that wait for them; the folder of the workers' logs."""
    with ExitStack() as stack:
        server = stack.enter_context(Server())
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="runner-door-")))
        environment = os.environ | {"RUNNER_REDIS_URL": server.url, "RUNNER_APP": work.app, "PYTHONPATH": str(ROOT)} | given
        for number in range(workers):
            stack.enter_context(process(environment, logs / f"worker-{number}.log", "working", "worker", "--drain", "1"))
        client = Client(work.queue, settings=Settings(redis_url=server.url)).blocking
        client.submit_many([JobRequest(work.task, {"number": number}) for number in range(work.calls)])
        yield logs


def _wait_for(url: str) -> None:
    deadline_s = time.monotonic() + 30
    while True:
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline_s, "nginx does not answer"
        time.sleep(0.05)


def main() -> None:
    """Print the account of the provider as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2_000)
    parser.add_argument("--jitter", type=float, default=0.0)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    began_s = time.monotonic()
    nginx = shutil.which("nginx") or "nginx"
    answers, was_late = answers_to(nginx, options.calls, jitter=options.jitter, workers=options.workers)
    took_s = round(time.monotonic() - began_s, 1)
    print(json.dumps({"calls": options.calls, "jitter": options.jitter, "answers": answers, "was_late": was_late, "seconds": took_s}))


if __name__ == "__main__":
    main()
