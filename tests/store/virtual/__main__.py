"""Plays many mixtures with the scripts of this folder's checkout, and prints who got what."""

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator

from runner.clock import MICROSECONDS
from tests.servers import REDIS, VALKEY, Server
from tests.store.virtual.figures import Row, played, table
from tests.store.virtual.mixtures import Mixture, beside, matrix, mixture, tenants, wide

HOLDS: dict[str, Callable[[random.Random], float] | None] = {
    "fixed": None,
    "uniform": lambda r: r.uniform(0.2, 1.8),
    "exponential": lambda r: r.expovariate(1),
}
RANDOM = {"mixture": mixture, "wide": wide, "tenants": tenants}
SIZES = {"pairs": 2, "triples": 3}


def chosen(arguments: argparse.Namespace) -> Iterator[tuple[str, Mixture]]:
    if arguments.form in RANDOM:
        for seed in range(arguments.seed, arguments.seed + arguments.mixtures):
            yield f"seed {seed}", RANDOM[arguments.form](seed)
    else:
        for kinds, speeds in matrix(SIZES[arguments.form])[:: arguments.every]:
            yield f"{kinds} {speeds}", beside(kinds, speeds, cost=arguments.cost, others=arguments.others)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--form", choices=[*RANDOM, *SIZES], default="mixture")
    parser.add_argument("--mixtures", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--every", type=int, default=1, help="of pairs and triples only every so-many-th")
    parser.add_argument("--cost", type=int, default=1, help="of the line of several limits, in pairs and triples")
    parser.add_argument("--others", type=int, default=1, help="single-limit lines at each limit, in pairs and triples")
    parser.add_argument("--hold", choices=[*HOLDS], default="fixed", help="how long a slot is held")
    parser.add_argument("--late-ms", type=float, default=0, help="wakes are looked at up to so much late")
    parser.add_argument("--worst", type=int, default=0, help="print so many of the rows with the lowest shares")
    parser.add_argument("--server", choices=[VALKEY, REDIS], default=VALKEY)
    parser.add_argument("--progress", action="store_true", help="print a line for each mixture")
    arguments = parser.parse_args()
    rows, began_s = list[Row](), time.perf_counter()
    with Server(arguments.server) as server:
        for title, one in chosen(arguments):
            options = {"hold": HOLDS[arguments.hold], "late_us": int(arguments.late_ms * 1000)}
            rows.append(played(server.url, title, one, int(arguments.minutes * 60 * MICROSECONDS), **options))
            if arguments.progress:
                print(line_of(rows[-1]), file=sys.stderr, flush=True)
        text = str(server.ask("INFO", "commandstats"))
    print(table(rows, f"{arguments.form}, {arguments.minutes:g} minutes each", spent(text), began_s))
    for key in ("multi", "single", "use"):
        for row in sorted(rows, key=lambda row: min(getattr(row, key), default=1))[: arguments.worst]:
            print(f"  lowest {key}: {line_of(row)}")


def line_of(row: Row) -> str:
    parts = (f"{name} {' '.join(f'{value:.2f}' for value in getattr(row, name))}" for name in ("multi", "single", "use"))
    return f"{row.title}: {'; '.join(parts)}; {row.starts} starts{f'; {row.trouble}' if row.trouble else ''}"


def spent(stats: str) -> Counter[str]:
    """Commands that the server has run, those of scripts included, and the µs of the scripts."""
    found = Counter[str]()
    for row in stats.splitlines():
        name, _, numbers = row.removeprefix("cmdstat_").partition(":")
        if numbers:
            fields = dict(part.split("=") for part in numbers.split(","))
            found["calls"] += int(fields["calls"])
            if name.startswith("eval"):
                found["us"] += int(fields["usec"])
    return found


if __name__ == "__main__":
    main()
