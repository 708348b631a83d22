"""`python -m bench peers`: the same work by this runner and by its peers, each as its own documentation advises."""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence

from bench.peers.catalogue import PEERS, Peer
from bench.peers.environments import NoInterpreter, interpreter
from bench.peers.measure import Sizes
from bench.peers.run import Run
from bench.peers.table import text
from bench.results import save
from tests.servers import REDIS, VALKEY

DESCRIPTION = "the same work by this runner and by its peers, side by side"
_JOBS = Sizes().jobs
QUICK = Sizes(jobs=400, paced_jobs=20, backlog=400, throttle_s=1.5)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench peers", description=DESCRIPTION)
    parser.add_argument("--prepare", action="store_true", help="only make the peers' environments, so that a run need not")
    parser.add_argument(
        "--only", default="", metavar="NAMES", help=f"some of {','.join(peer.name for peer in PEERS)}; `none` for ours alone"
    )
    parser.add_argument("--jobs", type=int, default=_JOBS, help=f"jobs of a drain; slow peers get a part (default {_JOBS})")
    parser.add_argument("--repeat", type=int, default=3, help="turns, each on fresh servers (default 3)")
    parser.add_argument("--quick", action="store_true", help="everything once and very small: shows that it works, says nothing of speed")
    parser.add_argument("--server", choices=(REDIS, VALKEY), default=REDIS if shutil.which("redis-server") else VALKEY)
    parser.add_argument("--json", action="store_true", help="the results as one JSON object")
    parser.add_argument("--save", action="store_true", help="keep the results in bench/results/")
    return parser


def chosen(names: str) -> list[Peer]:
    """The peers of these names, all if there are none. Raises LookupError for a stranger."""
    wanted = [name for name in names.split(",") if name and name != "none"]
    known = {peer.name: peer for peer in PEERS}
    if strangers := [name for name in wanted if name not in known]:
        raise LookupError(f"no peer {strangers[0]!r} (there are: {', '.join(known)})")
    return [known[name] for name in wanted] if names else list(PEERS)


def _prepare(peers: Sequence[Peer]) -> int:
    missing = 0
    for peer in peers:
        try:
            words = f"ready, {peer.version}, {interpreter(peer)}"
        except (NoInterpreter, subprocess.SubprocessError) as error:
            missing += 1
            words = f"not to be had: {getattr(error, 'stderr', None) or error}"
        print(f"{peer.name:10}{words}", flush=True)
    return 1 if missing else 0


def main(arguments: Sequence[str]) -> int:
    """0 if all was measured, 1 if a peer failed, 2 if the command is not understood."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        peers = chosen(given.only)
    except LookupError as error:
        parser.error(str(error))
    if given.save and (given.quick or given.only or given.jobs != _JOBS):
        parser.error("--save keeps what can be compared: not together with --only, --jobs or --quick")
    if given.prepare:
        return _prepare(peers)
    document = Run(given.server, QUICK if given.quick else Sizes(jobs=given.jobs), 1 if given.quick else given.repeat).measure(peers)
    print(json.dumps(document) if given.json else text(document), flush=True)
    if given.save:
        print(f"kept in {save(document)}", file=sys.stderr)
    return 1 if document["failures"] else 0
