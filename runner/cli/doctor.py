"""doctor: look at the server before anything starts, and say what to do."""

import sys

from runner.cli.output import columns, say, say_json
from runner.cli.queue_client import RedisTarget, about_redis
from runner.store import Finding, Level

_WORDS = {Level.ok: "ok", Level.warning: "warning", Level.error: "ERROR", Level.unknown: "unknown"}


@about_redis
def doctor(target: RedisTarget) -> None:
    """Check the server (version, role, memory, durability, clock, permissions, format) and the catalog; name jobs that are throttled for ever, and workers with defects.

    Exits with 1 if something must be put right.
    """
    findings = target.ask_redis(lambda client: client.examine())
    _print(findings, as_json=target.json)
    sys.exit(any(finding.level is Level.error for finding in findings))


def _print(findings: list[Finding], *, as_json: bool) -> None:
    if as_json:
        for finding in findings:
            say_json({"check": finding.check, "level": finding.level, "text": finding.text})
        return
    for line in columns([[_WORDS[finding.level], finding.check, finding.text] for finding in findings]):
        say(line)
