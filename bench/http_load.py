"""Requests to a service as fast as it answers, over several connections: by wrk where it is installed, else by a client of our own."""

import asyncio
import json
import shutil
import sys
import tempfile
from asyncio.subprocess import PIPE
from dataclasses import asdict, dataclass
from pathlib import Path

WRK = shutil.which("wrk")
_MARGIN_S = 20.0
_TIMEOUT_S = 10
"""Of one answer, on a machine that has other work; after 2 s wrk by itself counts it as a failure."""

_SCRIPT = """
wrk.method = %s
wrk.path = %s
wrk.body = %s
wrk.headers["Content-Type"] = "application/json"
if %s ~= "" then wrk.headers["Authorization"] = "Bearer " .. %s end
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('\\nRESULT {"requests": %%d, "duration_s": %%f, "p50_ms": %%f, "p99_ms": %%f, "failures": %%d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""


@dataclass(frozen=True, slots=True)
class Request:
    """The same request over and over. `key` is sent as `Authorization: Bearer`."""

    method: str
    path: str
    body: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Served:
    """What was answered. `failures` are answers that say so, and connections lost."""

    requests: int
    duration_s: float
    p50_ms: float
    p99_ms: float
    failures: int

    @property
    def per_s(self) -> float:
        return self.requests / self.duration_s


async def load(base_url: str, request: Request, *, connections: int, seconds: float, generator: str | None = WRK) -> Served:
    """Raises RuntimeError if anything failed: a refusal is fast, and no figure. wrk takes whole seconds only."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        if generator and seconds >= 1:
            script.write(_SCRIPT % tuple(map(_lua, (request.method, request.path, request.body, request.key, request.key))))
            script.flush()
            command = [
                generator,
                "-t1",
                f"-c{connections}",
                f"-d{round(seconds)}s",
                f"--timeout={_TIMEOUT_S}s",
                "--latency",
                "-s",
                script.name,
                base_url,
            ]
        else:
            job = json.dumps({"url": base_url, "request": asdict(request), "connections": connections, "seconds": seconds})
            command = [sys.executable, "-m", "bench.programs.http_client", job]
        process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
        try:
            async with asyncio.timeout(seconds + _MARGIN_S):
                output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    results = [line.partition(" ")[2] for line in output.decode().splitlines() if line.startswith("RESULT ")]
    if not results:
        raise RuntimeError(f"{Path(command[0]).name} ended with status {process.returncode} and no result")
    served = Served(**json.loads(results[0]))
    if served.failures:
        raise RuntimeError(f"{served.failures} of {served.requests} requests {request.method} {request.path} failed")
    return served


def _lua(text: str) -> str:
    """The text as Lua writes it; ours is ASCII, and JSON escapes the same."""
    return json.dumps(text)
