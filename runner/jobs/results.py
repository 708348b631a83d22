"""Results: what a handler returns as JSON, checked against its return annotation by the worker, and read as that type again by its caller."""

from functools import lru_cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, to_json

from runner.errors import ConfigurationError, InvalidResult
from runner.jobs.arrival import difference
from runner.jobs.coding import CONFIG, coding_of, has_long_number, parts_of
from runner.jobs.declared import declared
from runner.jobs.exactness import Exactness
from runner.jobs.faults import faults
from runner.jobs.unsendable import Unsendable


class Result:
    """The results of one type. `of` says whose they are, as messages begin: "task 'pay'". Raises `ConfigurationError` for a type that cannot be sent."""

    def __init__(self, of: str, kind: Any) -> None:
        self._of = of
        with declared(f"{of}: its result"):
            coding = coding_of(kind)
        schema, definitions = parts_of(coding.schema)
        self._is_json = schema["type"] == "any"
        fault = next(Unsendable(definitions).faults(schema, "its result"), None)
        if fault is not None:
            raise ConfigurationError(f"{of}: {fault}")
        self._coding = coding
        self._valid, self._write = coding.valid, coding.write
        self._is_exact = Exactness(definitions, CONFIG).holds(schema)
        self._sure_bytes = coding.sure_bytes if self._is_exact else 0

    def encode(self, value: Any) -> bytes:
        """The JSON of a result that arrives as it is. Raises `InvalidResult`."""
        try:
            valid = self._valid(value)
            encoded = self._write(valid)
        except (ValidationError, PydanticSerializationError) as error:
            kind = type(value).__name__
            raise InvalidResult(
                f"{self._of} returned {kind}, which does not fit its annotation or cannot be JSON: {faults(error)}"
            ) from error
        if valid is None and self._is_json:
            return encoded
        if len(encoded) > self._sure_bytes and not (self._is_exact and not has_long_number(encoded)):
            self._refuse_changed(valid, encoded)
        return encoded

    def decode(self, encoded: bytes) -> Any:
        """What `encode` was given. Raises pydantic's ValidationError for JSON that is of another type."""
        return self._coding.read(encoded)

    def read(self, value: Any) -> Any:
        """A result as its type has it, from the JSON that a status shows. Raises `InvalidResult` for one that is of another type."""
        if self._is_json:
            return value
        try:
            return self._coding.read(to_json(value))
        except ValidationError as error:
            raise InvalidResult(f"{self._of} has a result that is not of the type it is read as: {faults(error)}") from error

    def _refuse_changed(self, valid: Any, encoded: bytes) -> None:
        try:
            changed = difference(valid, self._coding.read(encoded))
        except ValidationError as error:
            raise InvalidResult(f"{self._of} returned what could not be read again: {faults(error)}") from error
        if changed is not None:
            raise InvalidResult(f"{self._of} returned what would arrive changed: {changed}")


def result_of(kind: Any) -> Result:
    """The results of a type that a caller names, for jobs of tasks whose code it does not have. Raises `ConfigurationError`."""
    try:
        return _made(kind)
    except TypeError:  # some annotations cannot be hashed, and so not be kept
        return Result("the job", kind)


@lru_cache(maxsize=256)
def _made(kind: Any) -> Result:
    return Result("the job", kind)
