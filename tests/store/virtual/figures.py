"""What came of plays: who got which part of what is fair, how long they waited, and what was left unused."""

import statistics
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.store.virtual.mixtures import Mixture
from tests.store.virtual.play import LivelockError, Play, S, StalledError


@dataclass(frozen=True)
class Row:
    """One play. Parts are of the ideal (of `fair`: of max-min), uses of the most a limit gives."""

    title: str
    multi: list[float]
    fair: list[float]
    single: list[float]
    use: list[float]
    gap: list[float]
    zero: int
    starts: int
    trouble: str = ""
    calls: Counter[str] = field(default_factory=Counter)


def row_of(title: str, play: Play, trouble: str = "") -> Row:
    mixture, seconds = play.mixture, play.now_us / S
    ideal, fair = mixture.ideal(), mixture.max_min()
    parts = [standing.started / (one * seconds) for standing, one in zip(play.lines, ideal, strict=True)]
    several = [at for at, line in enumerate(mixture.lines) if len(line.needs) > 1]
    alone = [at for at, line in enumerate(mixture.lines) if len(line.needs) == 1]
    return Row(
        title,
        multi=[parts[at] for at in several],
        fair=[play.lines[at].started / (fair[at] * seconds) for at in several],
        single=[parts[at] for at in alone],
        use=[use_of(play, limit) for limit in dict.fromkeys(mixture.lines[at].needs[0][0] for at in alone)],
        gap=[standing.worst_us / S * one for standing, one in zip(play.lines, ideal, strict=True)],
        zero=sum(play.lines[at].started == 0 for at in several if ideal[at] * seconds >= 2),
        starts=len(play.order),
        trouble="; ".join([*([trouble] if trouble else []), *play.excess()]),
        calls=play.calls,
    )


def use_of(play: Play, limit: str) -> float:
    """The part that was used of what a limit could have given."""
    taken, end_us = play.taken[limit], play.clock.now_us
    if limit in play.mixture.holds_us:
        rows = zip(taken.at_us, taken.costs, taken.ends_us, strict=True)
        return sum(cost * (min(ends_us, end_us) - at_us) for at_us, cost, ends_us in rows) / play.mixture.most(limit, play.now_us)
    return sum(taken.costs) / (play.mixture.limits[limit].capacity + play.mixture.most(limit, play.now_us))


def played(url: str, title: str, mixture: Mixture, until_us: int, **options: Any) -> Row:
    """Play one mixture on a queue of its own; what went wrong is in the row."""
    play, trouble = Play(url, mixture, **options), ""
    try:
        play.run(until_us)
    except (LivelockError, StalledError) as error:
        trouble = str(error)
    row = row_of(title, play, trouble)
    play.close()
    return row


def percentile(values: Sequence[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)]


def table(rows: Sequence[Row], title: str, commands: Counter[str], began_s: float) -> str:
    """The figures in lines of text."""
    multi, fair, single, use, gap = (
        [value for row in rows for value in getattr(row, name)] for name in ("multi", "fair", "single", "use", "gap")
    )
    least = [min(row.multi) for row in rows if row.multi]
    starts = max(sum(row.starts for row in rows), 1)
    calls: Counter[str] = sum((row.calls for row in rows), Counter())
    seconds = time.perf_counter() - began_s
    return "\n".join(
        [
            f"{title}: {len(rows)} mixtures, {len(multi)} lines of several limits, {starts} starts in {seconds:.0f} s",
            *_shares("share of ideal, several limits", multi, (0.25, 0.5)),
            *_shares("the same of max-min", fair, ()),
            *_shares("least line of a mixture", least, ()),
            *_shares("share of ideal, single limit", single, (0.75,)),
            *_shares("use of each limit", use, (), f"mean {statistics.mean(use):.3f}"),
            f"  {'longest wait / ideal distance':38} p50 {percentile(gap, 0.5):.1f}  p99 {percentile(gap, 0.99):.1f}  max {max(gap):.0f}",
            f"  {'lines that got nothing':38} {sum(row.zero for row in rows)}, in {sum(row.zero > 0 for row in rows)} mixtures",
            f"  {'a start':38} "
            + ", ".join(f"{name} {count / starts:.2f}" for name, count in calls.items())
            + f"; commands {commands['calls'] / starts:.1f}, server {commands['us'] / starts:.0f} µs",
            *(f"  TROUBLE {row.title}: {row.trouble}" for row in rows if row.trouble),
        ]
    )


def _shares(title: str, values: Sequence[float], below: Iterable[float], middle: str = "") -> list[str]:
    if not values:
        return []
    counts = "".join(f";  below {bar:g}: {sum(value < bar for value in values)} of {len(values)}" for bar in below)
    spread = "  ".join(f"p{part * 100:g} {percentile(values, part):.2f}" for part in (0.01, 0.1))
    return [f"  {title:38} min {min(values):.2f}  {spread}  {middle or f'median {percentile(values, 0.5):.2f}'}{counts}"]
