"""Declared: types are built once, where a task is declared. Whatever goes wrong there is an error of the declaration, and nobody's later."""

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import PydanticUserError
from pydantic_core import PydanticSerializationError, SchemaError

from runner.errors import ConfigurationError
from runner.foreign import kind_of, text_of
from runner.jobs.form_codec import UnknownForm

_SAY_ENOUGH = (NameError, PydanticUserError, PydanticSerializationError, SchemaError, UnknownForm)


@contextmanager
def declared(what: str) -> Iterator[None]:
    """While types are built: what their code raises there becomes a `ConfigurationError`, unless it ends the process."""
    try:
        yield
    except ConfigurationError:
        raise
    except Exception as error:
        kind = "" if isinstance(error, _SAY_ENOUGH) else f"{kind_of(error)}: "
        raise ConfigurationError(f"{what} cannot be sent as JSON: {kind}{text_of(error)}") from error
