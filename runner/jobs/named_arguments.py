"""NamedArguments: a call without the code of its task, read and written as the code would, from the form in the catalog."""

import json
import logging
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, to_json

from runner.errors import InvalidArguments
from runner.foreign import shown
from runner.jobs.faults import explained, is_a_dependency
from runner.jobs.form import Form
from runner.jobs.form_codec import FormCodec, UnknownForm
from runner.jobs.named_values import lost

log = logging.getLogger("runner")

_UNKNOWN: Form = {"k": "opaque", "why": "of a newer version"}


class NamedArguments:
    """The arguments of one task by its form. If that cannot be built here it is logged, and `form` is one of which nothing is known."""

    def __init__(self, task: str, form: Form, dependencies: Collection[str] = ()) -> None:
        self._task = task
        self._dependencies = frozenset(dependencies)
        self.form = form
        try:
            self._codec = FormCodec(form)
        except UnknownForm as error:
            log.warning("arguments of task %s are not checked here, as their form cannot be built by this version: %s", task, error)
            self.form = _UNKNOWN
            self._codec = FormCodec(self.form)

    def encode(self, args: Mapping[str, Any]) -> bytes:
        """The JSON of a call, the same that the code makes of it. Raises `InvalidArguments` naming each argument that does not fit."""
        given: object = args
        if self._dependencies and isinstance(given, Mapping) and not self._dependencies.isdisjoint(args):
            raise InvalidArguments(f"task {self._task!r}: {is_a_dependency(self._dependencies & args.keys())}")
        sent = sent_by_name(self._task, args, self.form)
        try:
            return self._codec.write(self._codec.read(sent))
        except (ValidationError, PydanticSerializationError) as error:
            raise InvalidArguments(explained(self._task, error)) from error


def sent_by_name(task: str, args: Mapping[str, Any], form: Form = _UNKNOWN) -> bytes:
    """The JSON in which arguments are sent whose task is elsewhere. Raises `InvalidArguments` for what JSON would lose, as far as is known."""
    if not isinstance(args, Mapping):
        raise InvalidArguments(f"task {task!r}: its arguments are {shown(args, 80)}: give them by name, like {{'order_id': 'o-17'}}")
    try:
        if (fault := lost(args, form)) is not None:
            raise InvalidArguments(f"task {task!r}: {fault}")
        sent = to_json(args, bytes_mode="base64", inf_nan_mode="constants", round_trip=True)
        _refuse_constants(sent)
        return sent
    except PydanticSerializationError as error:
        raise InvalidArguments(explained(task, error)) from error
    except _NotJson as error:
        raise InvalidArguments(f"task {task!r}: {error}") from error


class _NotJson(ValueError):
    """NaN or an infinity, which JSON does not have."""


def _refuse_constants(encoded: bytes) -> None:
    """Raises `_NotJson` if the text has a NaN or an infinity outside of its strings."""
    if b"NaN" in encoded or b"Infinity" in encoded:
        json.loads(encoded, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise _NotJson(f"{constant} cannot be sent as JSON: send it as text, or None")
