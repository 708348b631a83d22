"""TaskSpec: what workers publish about a task in the catalog, enough to submit it by name. TaskStatus: how it stands there."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from runner.names import DEFAULT_POOL


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """A task as its workers publish it: enough to submit it by name, without its code."""

    name: str
    parameters: dict[str, Any]
    limits: tuple[str, ...] = ()
    cost: dict[str, int | str] = field(default_factory=dict)
    priority: str = "normal"
    description: str = ""
    fair_by: str | None = None
    weights: dict[str, int] = field(default_factory=dict)
    max_wait: float | None = None
    deadline: float | None = None
    on_expiry: str = "expire"
    form: dict[str, Any] = field(default_factory=lambda: {"k": "any"})
    """What the arguments are, see `form`."""
    by_code_only: tuple[str, ...] = ()
    """Which keys, costs and shares come from arguments whose form only the code knows: with them the task cannot be submitted by name."""

    keep: dict[str, int] = field(default_factory=dict)
    """How long its jobs are kept that ended without success, in ms by state, where that is not what the settings say."""

    pool: str = DEFAULT_POOL
    """Whose workers run its jobs."""
    dependencies: tuple[str, ...] = ()
    """Parameters that the worker fills in: they are no arguments, and a call that gives one is refused."""
    unique: dict[str, Any] | None = None
    """Which of its jobs are alike, see `Unique`; None if each is one of its own."""

    def to_json(self) -> str:
        fields = asdict(self)
        for name in ("dependencies", "keep", "unique"):
            if not fields[name]:
                del fields[name]  # so a task that has none is published as versions that know of none publish it
        if self.pool == DEFAULT_POOL:
            del fields["pool"]
        return json.dumps(fields, separators=(",", ":"), sort_keys=True)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "TaskSpec":
        """The spec without what a newer version may have added to it."""
        known = {name: value for name, value in fields.items() if name in cls.__dataclass_fields__}
        several = {name: tuple(fields.get(name, ())) for name in ("by_code_only", "dependencies")}
        return cls(**{**known, "limits": tuple(fields["limits"]), **several})

    def defaults(self) -> dict[str, Any]:
        """The arguments a caller may leave out, with the values they then have."""
        properties = self.parameters.get("properties", {})
        return {name: schema["default"] for name, schema in properties.items() if "default" in schema}


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """A task of the catalog.

    spec: None if its entry is damaged; `fault` says how. served: a live worker runs it. served_until: seconds since 1970 at which the
    last one did, None if that is unknown or one does now. held: jobs that a worker has met and could not run, and that wait for another.
    """

    name: str
    spec: TaskSpec | None
    served: bool
    served_until: float | None = None
    held: int = 0
    fault: str | None = None
