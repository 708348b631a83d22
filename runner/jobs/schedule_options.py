"""Options of a schedule: what it says of the jobs that it makes, in the one spelling in which it is kept."""

from collections.abc import Callable, Mapping
from typing import Any

from runner.errors import ConfigurationError, InvalidOption, InvalidSchedule
from runner.jobs.metadata import metadata_in, metadata_of_options
from runner.jobs.tags import checked_tags
from runner.jobs.unique import fields_of_unique, uniqueness
from runner.names import unknown_name

OPTIONS = ("priority", "cost", "max_wait", "deadline", "pool", "unique", "tags", "metadata")
"""What a schedule says of its jobs; an id and a start they have by it."""


def kept_options(of: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are given, as JSON has them; equal ones are the same text, in every process. Raises `InvalidSchedule`, which begins with `of`.

    What depends on the task, as a cost does, is checked with its first job.
    """
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if name not in OPTIONS:
            raise InvalidSchedule(
                f"{of}: its jobs get their ids and their starts by it, and come after no other;"
                f" {unknown_name('a schedule', 'option', name, OPTIONS)}"
            )
    try:
        return {name: _AS_JSON.get(name, _same)(value) for name, value in given.items()}
    except (ConfigurationError, InvalidOption) as error:
        raise InvalidSchedule(f"{of}: {error}") from None


def _same(given: Any) -> Any:
    return given


def _unique(given: object) -> dict[str, Any] | bool:
    unique = uniqueness(given)
    return False if unique is None else fields_of_unique(unique)


_AS_JSON: Mapping[str, Callable[[Any], Any]] = {
    "cost": lambda given: dict(given) if isinstance(given, Mapping) else given,
    "unique": _unique,
    "tags": lambda given: sorted(checked_tags(given)),
    "metadata": lambda given: metadata_in(metadata_of_options(given)),
}
