"""fairness: who gets which part of a scarce limit, and who waits how long. The scripts are played in virtual time, so seconds are exact."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean

from bench.scenario import Repetition, Scenario, percentiles
from runner import TokenBucket
from runner.jobs import Priority
from tests.store.virtual.figures import percentile, row_of
from tests.store.virtual.mixtures import Line, Mixture, beside, matrix, mixture
from tests.store.virtual.play import Play, S

_RATE = 10
"""Starts a second of the one limit at which lines are equal, quiet, weighted or of other priorities."""


@dataclass(frozen=True, slots=True)
class Options:
    """`lines`: tenants who always have jobs. `seconds`: how long each play is. `plays`: how many of the mixtures with several limits."""

    shape: str
    lines: int = 50
    seconds: int = 300
    plays: int = 0


def _line(name: str, **fields: object) -> Line:
    return Line(name, (("shared", 1),), **fields)  # type: ignore[arg-type] # the fields of a Line


def _of_equal(options: Options) -> Sequence[Line]:
    return [_line(f"tenant{at}") for at in range(options.lines)]


def _of_weights(options: Options) -> Sequence[Line]:
    return [_line(f"tenant{at}", weight=(1, 2, 5, 10)[at % 4]) for at in range(options.lines)]


def _of_quiet(options: Options) -> Sequence[Line]:
    """A fifth as many that have a job now and then, and whose names come last."""
    pause_us = 4 * options.lines // _RATE * S
    quiet = [
        _line(f"zz{at}", gap=lambda r: r.uniform(0.5, 1.5) * pause_us, joins_us=at * S // 3) for at in range(max(options.lines // 5, 1))
    ]
    return [*_of_equal(options), *quiet]


def _of_newcomers(options: Options) -> Sequence[Line]:
    """As many as can be served come for one job each; their names come first."""
    new = [_line(f"a{at}", jobs=1, joins_us=at * S // _RATE) for at in range(options.seconds * _RATE)]
    return [*_of_equal(options), *new]


def _of_priorities(options: Options) -> Sequence[Line]:
    """As many of each priority."""
    return [_line(f"{priority.name}{at}", priority=priority) for priority in Priority for at in range(options.lines)]


def _of_urgent(options: Options) -> Sequence[Line]:
    """High jobs of others come now and then while many of low priority wait."""
    low = [_line(f"a{at}", priority=Priority.low) for at in range(options.lines)]
    return [*low, *(_line(f"zz{at}", priority=Priority.high, gap=lambda r: r.uniform(5, 15) * S, joins_us=S) for at in range(5))]


_SHAPES: dict[str, Callable[[Options], Sequence[Line]]] = {
    "equal": _of_equal,
    "weights": _of_weights,
    "quiet": _of_quiet,
    "newcomers": _of_newcomers,
    "priorities": _of_priorities,
    "urgent": _of_urgent,
}


def jain_index(parts: Sequence[float]) -> float:
    """1 if all parts are equal, 1 / n if one of n has all."""
    return sum(parts) ** 2 / (len(parts) * sum(part * part for part in parts)) if any(parts) else 0.0


async def measure(url: str, options: Options) -> Repetition:
    return _at_one_limit(url, options) if options.shape in _SHAPES else _of_several_limits(url, options)


def _at_one_limit(url: str, options: Options) -> Repetition:
    limit = TokenBucket("shared", rate=f"{_RATE}/s", burst=1)
    play = Play(url, Mixture({"shared": limit}, _SHAPES[options.shape](options)))
    play.run(options.seconds * S)
    play.close()
    busy = [standing for standing in play.lines if standing.line.gap is None and standing.line.jobs is None]
    others = {at for at, standing in enumerate(play.lines) if standing not in busy}
    figures: dict[str, float] = {}
    if options.shape == "priorities":
        for priority in Priority:
            starts = sum(standing.started for standing in busy if standing.line.priority is priority)
            figures[f"{priority.name}_starts_percent"] = 100 * starts / len(play.order)
    else:
        parts = [standing.started / standing.line.weight for standing in busy]
        figures |= {"jain_index": jain_index(parts), "least_part_percent": 100 * min(parts) / mean(parts)}
    if waits := [wait_us / S for at, wait_us in play.waits_us if at in others]:
        figures |= percentiles(waits, "s", "quiet_wait_")
    figures["busy_wait_max_s"] = max(standing.worst_us for standing in busy) / S
    return Repetition(figures)


def _mixtures(options: Options) -> list[Mixture]:
    """Pairs or triples of kinds, evenly chosen from all, or random mixtures whose lines overlap."""
    if options.shape == "overlapping":
        return [mixture(seed) for seed in range(1, options.plays + 1)]
    every = matrix(2 if options.shape == "two-limits" else 3)
    return [beside(kinds, speeds) for kinds, speeds in (every[at * len(every) // options.plays] for at in range(options.plays))]


def _of_several_limits(url: str, options: Options) -> Repetition:
    """Parts are of the fair part at the tightest of the limits that a line needs."""
    rows = []
    for one in _mixtures(options):
        play = Play(url, one)
        play.run(options.seconds * S)
        rows.append(row_of("", play))
        play.close()
        if rows[-1].trouble:
            raise RuntimeError(rows[-1].trouble)
    several = [part for row in rows for part in row.multi]
    uses = [use for row in rows for use in row.use]
    return Repetition(
        {
            "part_p50_percent": 100 * percentile(several, 0.5),
            "part_p10_percent": 100 * percentile(several, 0.1),
            "least_part_percent": 100 * min(several),
            "lines_without_a_start": sum(row.zero for row in rows),
            "single_least_part_percent": 100 * min(part for row in rows for part in row.single),
            "use_mean_percent": 100 * mean(uses),
            "use_least_percent": 100 * min(uses),
        }
    )


SCENARIO = Scenario(
    name="fairness",
    unit="start",
    description="who gets which part of a scarce limit, and who waits how long, in virtual time",
    cases={
        **{shape: Options(shape) for shape in _SHAPES},
        "priorities": Options("priorities", lines=5),
        "urgent": Options("urgent", lines=300),
        "two-limits": Options("two-limits", plays=21, seconds=600),
        "three-limits": Options("three-limits", plays=14, seconds=600),
        "overlapping": Options("overlapping", plays=10, seconds=900),
    },
    quick={"lines": 5, "plays": 1, "seconds": 30},
    measure=measure,
    repetitions=dict.fromkeys([*_SHAPES, "two-limits", "three-limits", "overlapping"], 1),
)
