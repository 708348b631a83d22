"""Arguments: a task's signature as JSON, checked by pydantic at submission and again at the run; its result likewise."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NotRequired, cast

from pydantic import TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema, PydanticSerializationError, to_jsonable_python

from runner.errors import ConfigurationError, InvalidArguments
from runner.jobs.argument_defaults import with_defaults
from runner.jobs.arrival import difference
from runner.jobs.coding import CONFIG, Coding, adapter_of, has_long_number, parts_of
from runner.jobs.declared import declared
from runner.jobs.exactness import Exactness
from runner.jobs.faults import explained, faults, is_a_dependency
from runner.jobs.form_writer import form_of
from runner.jobs.handlers import handler_of
from runner.jobs.results import Result
from runner.jobs.unsendable import Unsendable


class Arguments:
    """The signature of one function. Arguments are sent as a JSON object by name, so a positional and a keyword call are the same job.

    `dependencies` are the parameters that a worker fills in: no argument, and refused if one is given.
    """

    def __init__(self, task: str, function: Callable[..., Any], dependencies: frozenset[str] = frozenset()) -> None:
        self._task = task
        self._dependencies = dependencies
        handler = handler_of(task, function)
        every = handler.parameters()
        parameters = [p for p in every if p.name not in dependencies]
        with declared(f"task {task!r}: its annotations"):
            hints = handler.hints()
            self._defaults = {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
            self._positional = [p.name for p in every if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
            fields = {p.name: self._field(p, hints.get(p.name, Any)) for p in parameters}
            arguments = adapter_of(fields)
            self._unsure = self._checked(arguments.core_schema)
            self._coding = Coding(arguments.core_schema, is_call=True)
            self.schema = self._described(arguments)
            defaults = {name: to_jsonable_python(default, bytes_mode="base64", round_trip=True) for name, default in self._defaults.items()}
            self.form = with_defaults(form_of(self._coding.schema), defaults)
        self.result = Result(f"task {task!r}", hints.get("return", Any))
        self.encode_result = self.result.encode

    def _field(self, parameter: inspect.Parameter, hint: Any) -> Any:
        return NotRequired[hint] if parameter.name in self._defaults else hint

    def _checked(self, arguments: CoreSchema) -> frozenset[str]:
        """The arguments that may arrive changed, so that each has to be checked. Raises `ConfigurationError` for one that cannot arrive."""
        root, definitions = parts_of(arguments)
        schemas = {name: field["schema"] for name, field in root["fields"].items()}
        unsendable, exactness = Unsendable(definitions), Exactness(definitions, CONFIG)
        fault = next((fault for name, schema in schemas.items() for fault in unsendable.faults(schema, name)), None)
        if fault is not None:
            raise ConfigurationError(f"task {self._task!r}: {fault}")
        return frozenset(name for name, schema in schemas.items() if not exactness.holds(schema))

    def _described(self, arguments: TypeAdapter[dict[str, Any]]) -> dict[str, Any]:
        schema = arguments.json_schema(schema_generator=_Schema)
        for name, default in self._defaults.items():
            schema["properties"][name].setdefault("default", to_jsonable_python(default, bytes_mode="base64", round_trip=True))
        return schema

    def encode(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
        """The JSON of a call. Raises `InvalidArguments` naming each argument that does not fit."""
        values = dict(zip(self._positional, args, strict=False))
        twice = kwargs and values.keys() & kwargs.keys()
        if len(args) > len(self._positional) or twice:
            what = f"argument {min(twice)!r} given twice" if twice else f"{len(args)} positional arguments for {len(self._positional)}"
            raise InvalidArguments(f"task {self._task!r}: {what}")
        values.update(kwargs)
        if not self._dependencies.isdisjoint(values):
            raise InvalidArguments(f"task {self._task!r}: {is_a_dependency(self._dependencies & values.keys())}")
        try:
            valid = self._coding.valid(values)
            encoded = self._coding.write(valid)
        except (ValidationError, PydanticSerializationError) as error:
            raise InvalidArguments(explained(self._task, error)) from error
        if not self._unsure.isdisjoint(valid) or (len(encoded) > self._coding.sure_bytes and has_long_number(encoded)):
            self._refuse_changed(valid, encoded)
        return encoded

    def _refuse_changed(self, valid: Mapping[str, Any], encoded: bytes) -> None:
        try:
            arrived = self._coding.read(encoded)
        except ValidationError as error:
            raise InvalidArguments(f"task {self._task!r}: what would be sent could not be read again: {faults(error)}") from error
        for name in valid:
            if name in self._unsure and (changed := difference(valid[name], arrived[name])) is not None:
                raise InvalidArguments(f"task {self._task!r}: {changed.within(name)}")

    def decode(self, encoded: bytes) -> dict[str, Any]:
        """The keyword arguments of a run. Raises `InvalidArguments`."""
        try:
            return cast("dict[str, Any]", self._coding.read(encoded))
        except ValidationError as error:
            raise InvalidArguments(explained(self._task, error)) from error

    def encode_again(self, arguments: Mapping[str, Any]) -> bytes:
        """The JSON of what `decode` returned, as the code writes it whoever wrote it before. Raises whatever a serializer raises."""
        return self._coding.write(arguments)


class _Schema(GenerateJsonSchema):
    """A type that only its code knows is anything in the schema, which is for people."""

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> JsonSchemaValue:  # noqa: ARG002 - its place is pydantic's
        return {}
