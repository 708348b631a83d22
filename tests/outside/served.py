"""The service as it is run: a server, `python -m runner api` on loopback and a worker, each a process, on an app of all kinds of tasks."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.servers import Server

ROOT = Path(__file__).parents[2]
APP = "tests.outside.shop:jobs"
QUEUE = "outside"


class Served(NamedTuple):
    """A service that runs. `pid` and `log` are those of the API; `environment` is for more commands on the same queue."""

    url: str
    pid: int
    environment: dict[str, str]
    log: Path

    def command(self, *words: str) -> Any:
        """What a command of `python -m runner` prints as JSON."""
        done = subprocess.run(_words(*words, "--json"), env=self.environment, capture_output=True, text=True, check=False, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@contextmanager
def served(*options: str, app: str = APP, **settings: str) -> Iterator[Served]:
    """The service of an app's queue with a worker; `options` are words for `python -m runner api`, `settings` are for the environment."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="runner-outside-")))
        server = stack.enter_context(Server())
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = os.environ | {"RUNNER_REDIS_URL": server.url, "RUNNER_APP": app, "PYTHONPATH": path} | settings
        log = folder / "api.log"
        stack.enter_context(process(environment, folder / "worker.log", "working", "worker", "--drain", "1"))
        api = stack.enter_context(process(environment, log, "listening", "api", "--port", "0", *options))
        yield Served(api["url"], api["pid"], environment, log)


@contextmanager
def process(environment: dict[str, str], log: Path, event: str, *words: str) -> Iterator[dict[str, Any]]:
    """A command that runs until the end, from the line of the event on that says that it is ready."""
    with log.open("ab") as errors:
        process = subprocess.Popen(_words(*words, "--json"), env=environment, stdout=subprocess.PIPE, stderr=errors, cwd=ROOT)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            told = json.loads(line)
            if told["event"] == event:
                yield {**told, "pid": process.pid}
                break
        else:
            raise RuntimeError(f"{' '.join(words)} has not started:\n{log.read_text()}")
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _words(*words: str) -> list[str]:
    return [sys.executable, "-m", "runner", *words]
