"""Where a figure was measured; a figure without this means nothing."""

import os
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Self

import redis

from bench.http_load import WRK

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Environment:
    """`load` is the machine's load average of the last minute, taken before the measurement: what others did meanwhile."""

    cpus: int
    cpu: str
    memory_gb: int
    load: float
    system: str
    python: str
    uvloop: str
    redis_py: str
    hiredis: str
    wrk: str
    server: str
    persistence: str
    commit: str

    @classmethod
    def here(cls, url: str) -> Self:
        """This machine, with the server at `url`."""
        with redis.Redis.from_url(url, protocol=2) as client:
            info = client.info("server")
            fsync = client.config_get("appendfsync")["appendfsync"]
            appends = client.config_get("appendonly")["appendonly"] == "yes"
        kind = info.get("server_name", "redis")
        return cls(
            cpus=len(os.sched_getaffinity(0)),
            cpu=_cpu_model(),
            memory_gb=round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30),
            load=round(os.getloadavg()[0], 2),
            system=f"{platform.system()} {platform.release()}",
            python=platform.python_version(),
            uvloop=_version("uvloop"),
            redis_py=redis.__version__,
            hiredis=_version("hiredis"),
            wrk=_wrk(),
            server=f"{kind} {info.get(f'{kind}_version', info['redis_version'])}, unix socket",
            persistence=f"appendonly yes, appendfsync {fsync}" if appends else "none",
            commit=_commit(),
        )


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _wrk() -> str:
    """The version of the load generator, `none` if bench/programs/http_client.py stands in."""
    if WRK is None:
        return "none"
    said = subprocess.run([WRK, "-v"], check=False, capture_output=True, text=True).stdout
    return said.split()[1] if said.startswith("wrk ") else "unknown"


def _commit() -> str:
    """The commit, with `+` if the package differs from it."""
    git = ["git", "-C", str(ROOT)]
    try:
        commit = subprocess.run([*git, "rev-parse", "--short", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
        changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", "runner", "bench"], check=False).returncode
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit + ("+" if changed else "")
