"""Children: how many child processes a worker has for its CPU-bound tasks, and when one is replaced. A value."""

import os
from dataclasses import dataclass, field

from runner.errors import ConfigurationError

_LARGEST = 1_000


@dataclass(frozen=True, slots=True)
class Children:
    """The child processes of each worker, for tasks with `executor="process"`.

    size: how many jobs run in processes at once (default: the cores of the machine). max_jobs: a child is replaced after so many (default
    1,000). max_memory: bytes of resident memory above which it is replaced, between two jobs (default: none). start_timeout: seconds that a
    child gets to import the app (default 60). lifespan: each child enters the lifespan of the app too, in an event loop of its own, which stands
    still while a job runs. Raises `ConfigurationError`.
    """

    size: int = field(default_factory=lambda: os.cpu_count() or 1)
    max_jobs: int = 1_000
    max_memory: int | None = None
    start_timeout: float = 60.0
    lifespan: bool = False

    def __post_init__(self) -> None:
        for name, value, most in (
            ("size", self.size, _LARGEST),
            ("max_jobs", self.max_jobs, 10**9),
            ("max_memory", self.max_memory, 2**53),
        ):
            if value is None and name == "max_memory":
                continue
            if type(value) is not int or not 1 <= value <= most:
                raise ConfigurationError(f"Children: {name} is {value!r:.40}: give a whole number from 1 to {most:,}")
        if type(self.lifespan) is not bool:
            raise ConfigurationError(f"Children: lifespan is {self.lifespan!r:.40}: give True or False")
        if type(self.start_timeout) not in (int, float) or not 0 < self.start_timeout <= 3_600:
            raise ConfigurationError(f"Children: start_timeout is {self.start_timeout!r:.40}: give seconds, more than 0 and up to 3,600")
