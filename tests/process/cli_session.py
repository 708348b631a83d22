"""A process that runs commands of `python -m runner` one after the other, as a shell would: starting Python for each takes a second."""

import contextlib
import io
import json
import sys

from runner.cli import main


def run(words: list[str]) -> dict[str, object]:
    """One command as a process of its own would run it: its exit code and what it printed."""
    sys.argv = ["runner", *words]
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as left:
            code = left.code or 0
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)
