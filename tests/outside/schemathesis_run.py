"""`python -m tests.outside.schemathesis_run`: schemathesis with all its checks against the service, without keys and then with one.

Exits with 1 if it found a failure, or if the service logged an error. Needs the extra `outside`.
"""

import argparse
import json
import os
import subprocess
import sys
import time

import httpx

from tests.outside.precise import PUBLISHED, precise
from tests.outside.schemathesis_hooks import OWN_LIMIT
from tests.outside.served import ROOT, Served, served

PATIENCE_S = 60.0
"""For one answer on a machine on which much else runs."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="in all; half of it with a key")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    seconds = max(int(options.minutes * 30), 1)
    with served() as service:
        codes = [_tried(service, None, seconds, options.seed)]
        secret = service.command("keys", "create", "schemathesis", "--preset", "admin")["secret"]
        _wait_for_keys(service)
        codes.append(_tried(service, secret, seconds, options.seed))
        errors = [line for line in service.log.read_text().splitlines() if " ERROR " in line or " CRITICAL " in line or "Traceback" in line]
    for line in errors[:20]:
        print(line)
    print(f"seed {options.seed}, {2 * seconds} s: {'no failures' if not any(codes) and not errors else 'FAILURES'}")
    return int(any(codes) or bool(errors))


def _tried(service: Served, secret: str | None, seconds: int, seed: int) -> int:
    """Let schemathesis try the service with this key; its exit code."""
    headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
    with httpx.Client(base_url=service.url, headers=headers, trust_env=False, timeout=PATIENCE_S) as http:
        tasks = http.get("/v1/tasks").raise_for_status().json()["tasks"]
        published = http.get("/openapi.json").text
        document = precise(json.loads(published), tasks, has_keys=secret is not None)
    path, described = service.log.with_name("openapi.json"), service.log.with_name("published.json")
    described.write_text(published)
    path.write_text(json.dumps(document))
    words = [
        "--config-file",
        str(ROOT / "tests/outside/schemathesis.toml"),
        "run",
        str(path),
        "--url",
        service.url,
        "--max-time",
        str(seconds),
        "--seed",
        str(seed),
    ]
    words += ["--request-timeout", str(PATIENCE_S), "--continue-on-failure", "--no-color", "--warnings", "off"]
    words += [word for name, value in headers.items() for word in ("--header", f"{name}: {value}")]
    environment = os.environ | {"SCHEMATHESIS_HOOKS": "tests.outside.schemathesis_hooks", "PYTHONPATH": _path(), PUBLISHED: str(described)}
    print(f"--- {'with a key' if secret else 'without keys'}, {seconds} s", flush=True)
    return subprocess.run([sys.executable, "-m", "schemathesis.cli", *words], env=environment, cwd=path.parent, check=False).returncode


def _wait_for_keys(service: Served) -> None:
    """Until the service asks for a key; and let it count more than 20 requests without one in a minute."""
    deadline_s = time.monotonic() + PATIENCE_S
    while httpx.get(f"{service.url}/v1/limits", trust_env=False, timeout=PATIENCE_S).status_code != httpx.codes.UNAUTHORIZED:
        if time.monotonic() > deadline_s:
            raise RuntimeError("the service has not heard of its first key")
        time.sleep(0.2)
    service.command("limits", "set", OWN_LIMIT, "--capacity", "100000")


def _path() -> str:
    return os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])


if __name__ == "__main__":
    sys.exit(main())
