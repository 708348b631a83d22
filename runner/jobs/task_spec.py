"""TaskSpec: what workers publish about a task in the catalog, enough to submit it by name."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


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
    on_expiry: str = "expire"

    def to_json(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"), sort_keys=True)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "TaskSpec":
        """The spec without what a newer version may have added to it."""
        known = {name: value for name, value in fields.items() if name in cls.__dataclass_fields__}
        return cls(**{**known, "limits": tuple(fields["limits"])})

    def defaults(self) -> dict[str, Any]:
        """The arguments a caller may leave out, with the values they then have."""
        properties = self.parameters.get("properties", {})
        return {name: schema["default"] for name, schema in properties.items() if "default" in schema}
