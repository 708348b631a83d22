"""`python -m bench drain|enqueue|latency|throttle|limits`: measure this machine, each time on a private server that is thrown away. Without a scenario: all."""

import argparse
import shutil
import sys
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import uvloop

from bench import drain, enqueue, latency, limits, throttle
from bench.environment import Environment
from bench.results import Report
from bench.scenario import Repetition, Scenario
from tests.servers import REDIS, VALKEY, Server

SCENARIOS = {module.SCENARIO.name: module.SCENARIO for module in (drain, enqueue, latency, throttle, limits)}


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--server", choices=(REDIS, VALKEY), default=REDIS if shutil.which("redis-server") else VALKEY)
    common.add_argument("--no-persistence", action="store_true", help="no append-only file")
    common.add_argument("--repeat", type=int, default=3, help="repetitions, each on a fresh server")
    common.add_argument("--json", action="store_true", help="one JSON object for each scenario")
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__, parents=[common])
    scenarios = parser.add_subparsers(dest="scenario", metavar="scenario")
    for scenario in SCENARIOS.values():
        command = scenarios.add_parser(scenario.name, help=scenario.description, description=scenario.description, parents=[common])
        for field in fields(scenario.options):
            name, help_text = f"--{field.name.replace('_', '-')}", field.metadata["help"]
            if isinstance(field.default, bool):
                command.add_argument(name, dest=field.name, action="store_true", help=help_text)
            else:
                command.add_argument(name, dest=field.name, type=int, default=field.default, help=f"{help_text} (default {field.default})")
    return parser


def _report(scenario: Scenario, options: Any, kind: str, *, persistent: bool, repeat: int) -> Report:
    repetitions: list[Repetition] = []
    for _ in range(repeat):
        with Server(kind, appendonly=persistent) as server:
            environment = Environment.here(server.url)
            repetitions.append(uvloop.run(scenario.measure(server.url, options)))
    return Report(scenario, options, environment, repetitions)


def main(arguments: Sequence[str]) -> None:
    given = _parser().parse_args(arguments)
    chosen = [SCENARIOS[given.scenario]] if given.scenario else list(SCENARIOS.values())
    for scenario in chosen:
        options = scenario.options(**{field.name: getattr(given, field.name, field.default) for field in fields(scenario.options)})
        report = _report(scenario, options, given.server, persistent=not given.no_persistence, repeat=given.repeat)
        print(report.to_json() if given.json else report.to_text() + "\n", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
