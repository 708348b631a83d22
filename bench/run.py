"""Runs the cases of a scenario, one after the other and then all again, each time on a server of its own."""

import os
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import uvloop

from bench.environment import Environment
from bench.results import CaseResult, Report, number
from bench.scenario import Repetition, Scenario
from runner.clock import monotonic_s
from tests.servers import Server


@dataclass(frozen=True, slots=True)
class Conditions:
    """On what is measured, and how often."""

    server: str
    persistent: bool
    repeat: int


def report(scenario: Scenario, cases: Mapping[str, Any], conditions: Conditions) -> Report:
    """Measure. A repetition that goes wrong is told and left out; the others go on.

    Cases take turns, so that what the machine does meanwhile falls on all of them.
    """
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with Server(conditions.server, appendonly=conditions.persistent) as server:
        environment = Environment.here(server.url)
    results = {name: CaseResult(options) for name, options in cases.items()}
    failures: list[str] = []
    for turn in range(1, conditions.repeat + 1):
        for name, result in results.items():
            most = min(conditions.repeat, scenario.repetitions.get(name, conditions.repeat))
            if turn > most:
                continue
            result.load.append(round(os.getloadavg()[0], 2))
            begun_s = monotonic_s()
            label = f"{scenario.name} {name} {turn}/{most}"
            try:
                repetition = _measured(scenario, result.options, conditions)
            except Exception as error:  # noqa: BLE001 - hours of other results are not to be lost for it
                traceback.print_exc()
                failures.append(f"{label}: {type(error).__name__}: {error}")
                continue
            result.repetitions.append(repetition)
            figure, value = next(iter(repetition.figures.items()))
            print(f"{label:40}{figure} {number(value)}  ({monotonic_s() - begun_s:.1f} s)", file=sys.stderr, flush=True)
    return Report(scenario, environment, at, results, failures)


def _measured(scenario: Scenario, options: Any, conditions: Conditions) -> Repetition:
    with Server(conditions.server, appendonly=conditions.persistent) as server:
        return uvloop.run(scenario.measure(server.url, options))
