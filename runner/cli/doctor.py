"""doctor: look at the server before anything starts, and say what to do."""

import sys

from runner.cli.options import App, AsJson, Queue, RedisUrl
from runner.cli.output import columns, say, say_json
from runner.cli.queue_client import with_client
from runner.store import Finding, Level

_WORDS = {Level.ok: "ok", Level.warning: "warning", Level.error: "ERROR", Level.unknown: "unknown"}


def doctor(app: App = None, queue: Queue = None, redis_url: RedisUrl = None, json: AsJson = False) -> None:
    """Check the server: version, role, memory policy, durability, clock, permissions. Exits with 1 if something must be put right."""
    findings = with_client(lambda client: client.examine(), app, queue, redis_url)
    _tell(findings, as_json=json)
    sys.exit(any(finding.level is Level.error for finding in findings))


def _tell(findings: list[Finding], *, as_json: bool) -> None:
    if as_json:
        for finding in findings:
            say_json({"check": finding.check, "level": finding.level, "text": finding.text})
        return
    for line in columns([[_WORDS[finding.level], finding.check, finding.text] for finding in findings]):
        say(line)
