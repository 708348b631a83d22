"""multi-limit: what limits cost that never bind, by their number on a job and by the number of their buckets."""

from bench.backlog import Backlog, measure
from bench.scenario import Scenario

SCENARIO = Scenario(
    name="multi-limit",
    unit="job",
    description="finish a backlog of jobs behind none to three limits, and behind one with many keys",
    cases={
        "none": Backlog(),
        "one": Backlog(task="limits_1"),
        "two": Backlog(task="limits_2"),
        "three": Backlog(task="limits_3"),
        **{f"keys-{keys}": Backlog(task="keyed", keys=keys) for keys in (1, 100, 10_000)},
    },
    quick={"jobs": 200},
    measure=measure,
)
