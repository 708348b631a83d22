"""A provider that permits less than is declared, which adapting finds out: the same nginx, and an app that says wait when it does.

python -m tests.outside.adapting_door --declared 40 --seconds 120
"""

import argparse
import json
import os
import shutil
import time
from typing import NamedTuple

import httpx

from runner import RateLimited, Runner, TokenBucket
from tests.eventually import PATIENCE_S
from tests.outside.metered_door import RATE, Work, backlog, connected, door
from tests.topologies import until

APP = "tests.outside.adapting_door:jobs"
WINDOW_S = 5.0

declared = int(os.environ.get("DOOR_DECLARED", "40"))
jobs = Runner("door", lifespan=connected)
provider = TokenBucket("provider", rate=f"{declared}/s", burst=declared, adapt=os.environ.get("DOOR_ADAPTS", "yes") == "yes")


@jobs.task(limits=[provider], retries=0)
async def pay(number: int) -> None:
    """One call. This provider names no time."""
    answer: httpx.Response = await jobs.state.get("/pay")
    if answer.status_code == 429:
        raise RateLimited("provider")


class Account(NamedTuple):
    """What came of some time at the door. use: accepted calls, as a part of what the provider permits. most: refusals in any 5 s."""

    seconds: float
    accepted: int
    refused: int
    use: float
    most: int


def account_of(accepted: list[float], refused: list[float], from_s: float, until_s: float) -> Account:
    """The account of the time between these instants."""
    taken = [at for at in accepted if from_s <= at < until_s]
    said = [at for at in refused if from_s <= at < until_s]
    most = max((sum(at <= other < at + WINDOW_S for other in said) for at in said), default=0)
    span_s = until_s - from_s
    return Account(round(span_s, 1), len(taken), len(said), round(len(taken) / (span_s * RATE), 3), most)


def accounts(nginx: str, seconds: float, *, adapts: bool = True, workers: int = 2, learning_s: float = 60.0) -> tuple[Account, Account]:
    """The first minute, and the time after it, with a backlog that never ends."""
    with door(nginx) as provider:
        given = {"DOOR_URL": provider.url, "DOOR_ADAPTS": "yes" if adapts else "no"}
        given["DOOR_DECLARED"] = os.environ.get("DOOR_DECLARED", str(declared))
        with backlog(Work(APP, jobs.queue, "pay", int(seconds * RATE * 2)), given, workers=workers):
            until(lambda: bool(provider.times("200")), within_s=PATIENCE_S)
            began_s = provider.times("200")[0]
            time.sleep(max(began_s + seconds - time.time(), 0.0))
        accepted, refused = provider.times("200"), provider.times("429")
    middle_s = began_s + min(learning_s, seconds / 2)
    return account_of(accepted, refused, began_s, middle_s), account_of(accepted, refused, middle_s, began_s + seconds)


def main() -> None:
    """Print both accounts as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--declared", type=int, default=declared)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--fixed", action="store_true", help="with the declared rate for ever")
    options = parser.parse_args()
    os.environ["DOOR_DECLARED"] = str(options.declared)
    found = accounts(shutil.which("nginx") or "nginx", options.seconds, adapts=not options.fixed, workers=options.workers)
    print(json.dumps({"declared": options.declared, "first": found[0]._asdict(), "then": found[1]._asdict()}))


if __name__ == "__main__":
    main()
