"""Arguments: a task's signature as JSON, checked by pydantic at submission and again at the run; its result likewise."""

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any, NotRequired, cast, get_type_hints

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python
from typing_extensions import TypedDict

from runner.errors import ConfigurationError, InvalidArguments

_PLAIN = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class Arguments:
    """The signature of one function. Arguments are sent as a JSON object by name, so a positional and a keyword call are the same job."""

    def __init__(self, task: str, function: Callable[..., Any]) -> None:
        self._task = task
        parameters = inspect.signature(function).parameters.values()
        for parameter in parameters:
            if parameter.kind not in _PLAIN:
                raise ConfigurationError(
                    f"task {task!r}: parameter {str(parameter)!r} has no name on the wire; use plain or keyword-only parameters"
                )
        try:
            hints = get_type_hints(function, include_extras=True)
            self._defaults = {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
            self._positional = [p.name for p in parameters if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
            fields = {p.name: self._field(p, hints) for p in parameters}
            arguments: TypeAdapter[dict[str, Any]] = TypeAdapter(_typed_dict(fields))
            result: TypeAdapter[Any] = TypeAdapter(hints.get("return", Any), config=_result_config(hints.get("return")))
            self.schema = self._described(arguments)
            # Called directly: the adapters' own methods check options that are never given, and take twice as long for a small call.
            self._arguments, self._arguments_json = arguments.validator, arguments.serializer
            self._result, self._result_json = result.validator, result.serializer
        except (NameError, PydanticUserError, PydanticSerializationError) as error:
            raise ConfigurationError(f"task {task!r}: its annotations cannot be sent as JSON: {error}") from error

    def _field(self, parameter: inspect.Parameter, hints: Mapping[str, Any]) -> Any:
        hint = hints.get(parameter.name, Any)
        return NotRequired[hint] if parameter.name in self._defaults else hint

    def _described(self, arguments: TypeAdapter[dict[str, Any]]) -> dict[str, Any]:
        schema = arguments.json_schema()
        for name, default in self._defaults.items():
            schema["properties"][name].setdefault("default", to_jsonable_python(default))
        return schema

    def encode(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
        """The JSON of a call. Raises `InvalidArguments` naming each argument that does not fit."""
        values = dict(zip(self._positional, args, strict=False))
        twice = kwargs and values.keys() & kwargs.keys()
        if len(args) > len(self._positional) or twice:
            what = f"argument {min(twice)!r} given twice" if twice else f"{len(args)} positional arguments for {len(self._positional)}"
            raise InvalidArguments(f"task {self._task!r}: {what}")
        values.update(kwargs)
        try:
            valid = self._arguments.validate_python(values)
            encoded = self._arguments_json.to_json(valid)
            if b"null" in encoded:  # NaN becomes null where no type refuses it, and the caller would not notice
                refuse_constants(to_json(valid, inf_nan_mode="constants", fallback=str))
            return encoded
        except (ValidationError, PydanticSerializationError) as error:
            raise InvalidArguments(self._explained(error)) from error
        except NotJson as error:
            raise InvalidArguments(f"task {self._task!r}: {error}") from error

    def decode(self, encoded: bytes) -> dict[str, Any]:
        """The keyword arguments of a run. Raises `InvalidArguments`."""
        try:
            return cast("dict[str, Any]", self._arguments.validate_json(encoded))
        except ValidationError as error:
            raise InvalidArguments(self._explained(error)) from error

    def encode_result(self, value: Any) -> bytes:
        """The JSON of a result, checked against the return annotation. Raises `InvalidArguments`."""
        if value is None:
            return b"null"
        try:
            return self._result_json.to_json(self._result.validate_python(value))
        except (ValidationError, PydanticSerializationError) as error:
            raise InvalidArguments(
                f"task {self._task!r} returned {type(value).__name__}, which does not fit its annotation or cannot be JSON: {error}"
            ) from error

    def _explained(self, error: ValidationError | PydanticSerializationError) -> str:
        if isinstance(error, PydanticSerializationError):
            return f"task {self._task!r}: {error}"
        faults = [
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']} (got {_short(fault['input'])})"
            for fault in error.errors(include_url=False)
        ]
        return f"task {self._task!r}: {'; '.join(faults)}"


class NotJson(ValueError):
    """NaN or an infinity, which JSON does not have."""


def refuse_constants(encoded: bytes) -> None:
    """Raises `NotJson` if the text has a NaN or an infinity outside of its strings."""
    if b"NaN" in encoded or b"Infinity" in encoded:
        json.loads(encoded, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise NotJson(f"{constant} cannot be sent as JSON: send it as text, or None")


def _typed_dict(fields: dict[str, Any]) -> Any:
    make: Any = TypedDict  # a type checker wants its fields written down, and they are known at run time only
    shape = make("arguments", fields)
    shape.__pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)
    return shape


def _result_config(hint: Any) -> ConfigDict | None:
    """The config of a plain type. Models have their own, and pydantic refuses another one for them."""
    return (
        None
        if (inspect.isclass(hint) and hasattr(hint, "__pydantic_config__")) or hasattr(hint, "model_config")
        else ConfigDict(allow_inf_nan=False)
    )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
