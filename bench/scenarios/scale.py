"""scale: what more worker processes and more queues bring on the cores there are; Redis and the workers share them."""

from bench.backlog import Backlog, measure
from bench.scenario import Scenario

SCENARIO = Scenario(
    name="scale",
    unit="job",
    description="finish a backlog with more workers and queues",
    cases={
        "workers-1": Backlog(),
        "workers-2": Backlog(workers=2),
        "workers-4": Backlog(workers=4),
        "workers-8": Backlog(workers=8, slots=25),
        "workers-2-queues-2": Backlog(workers=2, queues=2),
        "workers-4-queues-2": Backlog(workers=4, queues=2),
    },
    quick={"jobs": 200},
    measure=measure,
)
