"""AppAddress: by what name another process can import the app of this one."""

import sys
from collections.abc import Iterable
from typing import NamedTuple

from runner.client import Runner
from runner.errors import ConfigurationError
from runner.foreign import asked

MAIN = "__main__"


class AppAddress(NamedTuple):
    """The module and the attribute in it; `file` is the program to run as that module, if it has no name of its own."""

    module: str
    attribute: str
    file: str = ""


def address_of(runner: Runner, needed_by: Iterable[str]) -> AppAddress:
    """Where a child process finds this Runner. Raises `ConfigurationError`, naming the tasks that need it."""
    for name, module in list(sys.modules.items()):
        fields = asked(lambda module=module: dict(vars(module)), lambda _: {})  # type: ignore[misc] # a lambda's default has no type
        attribute = next((attribute for attribute, value in fields.items() if value is runner), None)
        if attribute is None:
            continue
        if name != MAIN:
            return AppAddress(name, attribute)
        spec, file = getattr(module, "__spec__", None), getattr(module, "__file__", None)
        if spec is not None and not spec.name.endswith(".__main__"):
            return AppAddress(spec.name, attribute)
        if file:
            return AppAddress(MAIN, attribute, file)
    tasks = ", ".join(sorted(needed_by))
    raise ConfigurationError(
        f"queue {runner.queue!r}: tasks for child processes ({tasks}) need a Runner that a child can import:"
        " make it at the top of a module, not inside a function"
    )
