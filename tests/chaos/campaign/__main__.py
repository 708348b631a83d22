"""`python -m tests.chaos.campaign --seed 7 --minutes 30`: random faults from a seed, and the accounts. Exits with 1 if anything is wrong."""

import argparse
import asyncio
import logging
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.campaign.plan import Plan
from tests.chaos.campaign.preparation import prepared
from tests.chaos.campaign.report import Report
from tests.servers import REDIS, VALKEY


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.campaign", description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="the same seed is the same schedule of faults and submissions")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--server", choices=[VALKEY, REDIS], default=VALKEY)
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument("--takers", type=int, default=2, help="processes that take tokens and slots without a worker")
    parser.add_argument("--rate", type=float, default=130.0, help="jobs submitted a second")
    parser.add_argument("--pause", type=float, default=5.0, help="seconds from one fault to the next, about")
    parser.add_argument("--api", action="store_true", help="submit a tenth over HTTP, and kill the API too")
    parser.add_argument("--patience", type=float, default=1.0, help="factor on the bounds of recovery, for a busy machine")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="write the report there too")
    parser.add_argument(
        "--keep", type=Path, default=None, metavar="FOLDER", help="keep logs and notes there; without it only if something is wrong"
    )
    options = parser.parse_args()
    seed = random.randrange(1_000_000) if options.seed is None else options.seed
    folder = options.keep or Path(tempfile.mkdtemp(prefix="runner-campaign-"))
    plan = Plan(
        seed,
        options.minutes * 60,
        folder,
        kind=options.server,
        workers=options.workers,
        takers=options.takers,
        rate=options.rate,
        pause_s=options.pause,
        with_api=options.api,
        patience=options.patience,
    )
    logging.getLogger("runner").addHandler(logging.NullHandler())  # hooks raise, as players ask them to
    print(f"seed {seed}, notes and logs in {folder}", flush=True)
    report = asyncio.run(campaign(plan))
    print("\n".join(["", *report.lines()]), flush=True)
    if options.json is not None:
        options.json.write_text(report.to_json() + "\n")
    if report.findings:
        print(f"\nsomething is WRONG (seed {seed}); notes and logs stay in {folder}", flush=True)
        return 1
    if options.keep is None:
        shutil.rmtree(folder)
    return 0


async def campaign(plan: Plan) -> Report:
    began_s = time.monotonic()
    async with prepared(plan, lambda text: print(f"{time.monotonic() - began_s:7.1f} {text}", flush=True)) as prepared_campaign:
        return await prepared_campaign.run()


if __name__ == "__main__":
    sys.exit(main())
