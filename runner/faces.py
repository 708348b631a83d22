"""A face that imports nothing until a name of it is asked for: whoever needs one file of a room does not wait for all others.

Such a face has its imports twice: in a TYPE_CHECKING block, where type checkers and editors read them, and as the table that is in
force. `tests/unit/test_faces.py` compares the two.
"""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def at_first_use(
    module: str, homes: Mapping[str, str], *, within: str | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a module (PEP 562). homes: files or rooms, and the names that each is imported for.

    within: the package of these, if it is not the module itself.
    """
    package = module if within is None else within
    by_name = {name: home for home, names in homes.items() for name in names.split()}
    face = vars(sys.modules[module])

    def resolve(name: str) -> Any:
        home = by_name.get(name)
        if home is None:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        value = face[name] = getattr(import_module(f"{package}.{home}"), name)
        return value

    def names() -> list[str]:
        return sorted({*face, *by_name})

    return resolve, names
