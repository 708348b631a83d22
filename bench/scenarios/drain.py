"""drain: how fast a worker finishes a backlog of jobs that do nothing."""

from bench.backlog import Backlog, measure
from bench.scenario import Scenario

SCENARIO = Scenario(
    name="drain",
    unit="job",
    description="finish a backlog of jobs that do nothing",
    cases={
        "async": Backlog(),
        "sync": Backlog(task="noop_sync"),
        "payload-1k": Backlog(payload=1_000),
        "payload-100k": Backlog(jobs=1_000, payload=100_000),
        "slots-10": Backlog(slots=10),
        "slots-500": Backlog(slots=500),
    },
    quick={"jobs": 200},
    measure=measure,
)
