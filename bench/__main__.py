"""The command line of `python -m bench`: says what is chosen; bench/run.py measures it."""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from typing import Any

from bench.peers import command as peers
from bench.presentation import command as plot
from bench.results import save
from bench.run import Conditions, report
from bench.scenario import Scenario
from bench.scenarios import (
    commands,
    drain,
    enqueue,
    fairness,
    floor,
    foretold,
    hostile,
    http,
    imports,
    latency,
    looking,
    memory,
    multi_limit,
    recovery,
    scale,
    script_time,
    shared,
    throttle,
)
from tests.servers import REDIS, VALKEY

SCENARIOS = {
    module.SCENARIO.name: module.SCENARIO
    for module in (
        enqueue,
        drain,
        multi_limit,
        scale,
        latency,
        throttle,
        commands,
        fairness,
        http,
        recovery,
        memory,
        imports,
        floor,
        script_time,
        hostile,
        looking,
        shared,
        foretold,
    )
}


def parser_of_options() -> argparse.ArgumentParser:
    """Of all options and scenarios."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure this machine, each time on a private server that is thrown away. Without a scenario: all.",
        parents=[_options()],
    )
    server = REDIS if shutil.which("redis-server") else VALKEY
    parser.set_defaults(case=[], server=server, no_persistence=False, repeat=3, set=[], quick=False, json=False, save=False)
    scenarios = parser.add_subparsers(dest="scenario", metavar="scenario")
    for scenario in SCENARIOS.values():
        cases = f"Cases: {', '.join(scenario.cases)}."
        parents = [_options()]
        scenarios.add_parser(scenario.name, help=scenario.description, description=f"{scenario.description}. {cases}", parents=parents)
    return parser


def _options() -> argparse.ArgumentParser:
    """They may stand before the scenario and after it, so they have no defaults here: those of the second would replace what the first say."""
    options = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    switch: dict[str, Any] = {"action": "store_true", "default": argparse.SUPPRESS}
    options.add_argument("--case", action="append", metavar="NAME", help="only this case; may be given several times")
    options.add_argument("--server", choices=(REDIS, VALKEY))
    options.add_argument("--no-persistence", **switch, help="no append-only file")
    options.add_argument("--repeat", type=int, help="repetitions, each on a fresh server (3)")
    options.add_argument("--set", action="append", metavar="OPTION=VALUE", help="change an option of the chosen cases")
    options.add_argument("--quick", **switch, help="everything once and very small: shows that it works, says nothing of speed")
    options.add_argument("--json", **switch, help="one JSON object for each scenario")
    options.add_argument("--save", **switch, help="keep the results in bench/results/")
    return options


def _changes(given: argparse.Namespace, scenario: Scenario) -> dict[str, Any]:
    """Options as they are to be, by name. A value is a number if it can be read as one."""
    changes: dict[str, Any] = dict(scenario.quick) if given.quick else {}
    for change in given.set:
        name, _, value = change.partition("=")
        changes[name] = int(value) if value.isdigit() else value
    return changes


def main(arguments: Sequence[str]) -> int:
    """0 if all was measured, 1 if something went wrong, 2 if the command is not understood."""
    if arguments[:1] == ["plot"]:
        return plot.main()
    if arguments[:1] == ["peers"]:
        return peers.main(arguments[1:])
    parser = parser_of_options()
    given = parser.parse_args(arguments)
    if given.save and (given.case or given.set or given.quick or given.no_persistence):
        parser.error("--save keeps whole scenarios as they are: not together with --case, --set, --quick or --no-persistence")
    if (given.case or given.set) and not given.scenario:
        parser.error("--case and --set belong to one scenario: name it")
    conditions = Conditions(given.server, not given.no_persistence, 1 if given.quick else given.repeat)
    failures = 0
    for scenario in [SCENARIOS[given.scenario]] if given.scenario else SCENARIOS.values():
        try:
            cases = scenario.chosen(given.case, _changes(given, scenario))
        except LookupError as error:
            parser.error(str(error))
        measured = report(scenario, cases, conditions)
        failures += len(measured.failures)
        print(json.dumps(measured.document()) if given.json else measured.text() + "\n", flush=True)
        if given.save:
            print(f"kept in {save(measured.document())}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
