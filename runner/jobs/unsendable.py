"""What can never be sent, found at the declaration: secrets, callables, fields that are not written. Each with the place and a remedy."""

from collections.abc import Iterator, Mapping
from typing import Any

Node = Mapping[str, Any]

_NEVER = {
    "callable": "a callable cannot be sent: send the name of what is to be called",
    "generator": "an iterator could be read once only: use list[...] or Sequence[...]",
    "is-subclass": "a class cannot be sent: send its name",
    "is-instance": "nothing says how its class is read from JSON: give it `__get_pydantic_core_schema__`, or send what JSON has",
}
_SECRET = "a secret would arrive as '**********': pass the name of the secret, not the secret"  # noqa: S105 - none
_NOT_NODES = frozenset({"metadata", "serialization", "config", "default", "expected", "members"})
_FIELDS = frozenset({"model-field", "dataclass-field", "typed-dict-field"})


class Unsendable:
    """Walks the schemas of one signature. `definitions` are the schemas that references name."""

    def __init__(self, definitions: Mapping[str, Node]) -> None:
        self._definitions = definitions
        self._seen: set[str] = set()

    def faults(self, node: Node, path: str) -> Iterator[str]:
        """Why no value of this schema can arrive, with the path to the part that cannot."""
        kind, written_by = node["type"], node.get("serialization", {}).get("function")
        if kind == "definition-ref":
            yield from self._of_reference(node["schema_ref"], path)
        elif kind in _NEVER:
            yield f"{path}: {_NEVER[kind]}"
        elif written_by is None or _is_pydantics(written_by):
            if written_by is not None and written_by.__name__.startswith("_serialize_secret"):
                yield f"{path}: {_SECRET}"
                return
            if kind in _FIELDS:
                yield from (f"{path}: {fault}" for fault in _of_field(path.rpartition(".")[2], node))
            if node.get("init") is not False:  # a field that its class makes itself is not sent
                for name, inner in _parts(node):
                    yield from self.faults(inner, f"{path}.{name}" if name else path)

    def _of_reference(self, name: str, path: str) -> Iterator[str]:
        if name not in self._seen and name in self._definitions:
            self._seen.add(name)
            yield from self.faults(self._definitions[name], path)


def _is_pydantics(function: object) -> bool:
    """Whether a serializer is pydantic's. Of another one nobody knows what it writes, until a value is sent."""
    return str(getattr(function, "__module__", "")).startswith("pydantic.")


def _of_field(name: str, field: Node) -> Iterator[str]:
    if field["schema"]["type"] == "default" or field.get("required") is False or field.get("init") is False:
        return
    if field.get("serialization_exclude"):
        yield "exclude=True keeps it from being sent, and it has no default to arrive with"
    elif field.get("init_only"):
        yield "an InitVar is not kept by its class, so that it cannot be sent"
    elif (written := field.get("serialization_alias", name)) not in _read_names(name, field.get("validation_alias")):
        yield f"it is written as {written!r} and not read by that name: give it one `alias` for both"


def _read_names(name: str, alias: Any) -> set[Any]:
    """The names by which a field is read: its own, an alias, or one of several, each of which may be a path."""
    paths = [[alias]] if isinstance(alias, str) else [] if alias is None else alias if isinstance(alias[0], list) else [alias]
    return {name, *(path[0] for path in paths if len(path) == 1)}


def _parts(node: Node) -> Iterator[tuple[str, Node]]:
    """The nodes within a node, each with its name if it is a field."""
    for key, part in node.items():
        if key in _NOT_NODES or (key == "python_schema" and "json_schema" in node):
            continue
        if isinstance(part, dict) and not isinstance(part.get("type"), str):
            yield from ((name if key == "fields" else "", inner) for name, inner in part.items() if _is_node(inner))
        elif isinstance(part, dict):
            yield "", part
        elif isinstance(part, (list, tuple)):
            choices = (choice[0] if isinstance(choice, tuple) else choice for choice in part)
            # An instance as one choice of several is read as another one.
            yield from ((inner.get("name", ""), inner) for inner in choices if _is_node(inner) and inner["type"] != "is-instance")


def _is_node(part: object) -> bool:
    return isinstance(part, dict) and isinstance(part.get("type"), str)
