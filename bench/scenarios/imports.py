"""imports: what the library adds to a program's start, next to the packages that it cannot do without. Whole processes are timed."""

import asyncio
import compileall
import sys
from asyncio.subprocess import PIPE
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from bench.environment import ROOT
from bench.scenario import Repetition, Scenario
from runner.clock import monotonic_s

_PACKAGES = "redis.asyncio, pydantic, pydantic_settings"
_MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Options:
    """`modules` are imported by one process after another, taking turns with one that imports the packages; each `times` times."""

    modules: str
    times: int = 20


class Imported(NamedTuple):
    seconds: float
    resident_bytes: int


async def measure(url: str, options: Options) -> Repetition:  # noqa: ARG001 - no server has a part in it
    compileall.compile_dir(ROOT / "runner", quiet=1)  # as pip does
    bare, ours = [], []
    for _ in range(options.times):
        bare.append(await _imported(_PACKAGES))
        ours.append(await _imported(options.modules))
    bare_s, ours_s = (median(process.seconds for process in measured) for measured in (bare, ours))
    return Repetition(
        {
            "import_ratio": ours_s / bare_s,
            "import_ms": 1000 * ours_s,
            "packages_ms": 1000 * bare_s,
            "import_mb": median(process.resident_bytes for process in ours) / _MEGABYTE,
            "packages_mb": median(process.resident_bytes for process in bare) / _MEGABYTE,
        }
    )


async def _imported(modules: str) -> Imported:
    """One process that imports them and ends: from its start to its end, and the most memory that it held."""
    code = f"import {modules}, resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    began_s = monotonic_s()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=PIPE)
    said, _ = await process.communicate()
    seconds = monotonic_s() - began_s
    if process.returncode:
        raise RuntimeError(f"import {modules} ended with status {process.returncode}")
    return Imported(seconds, int(said) * (1 if sys.platform == "darwin" else 1024))


SCENARIO = Scenario(
    name="imports",
    unit="import",
    description="what a program's start takes that imports the library, next to the packages that it cannot do without",
    cases={
        "name": Options("runner"),
        "producer": Options("bench.programs.declaring"),
        "service": Options("runner.http"),
        "command": Options("runner.cli"),
    },
    quick={"times": 1},
    measure=measure,
)
