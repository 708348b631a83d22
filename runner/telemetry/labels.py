"""Labels: which values of a label are told by name. All others are told together, so that no page grows with what a queue holds."""

from collections.abc import Iterable

MOST_LABELS = 200
"""Values of one label on one page, besides `OTHER`."""
OTHER = "other"
_LONGEST = 120


class Labels:
    """Names that are known from the beginning, or with `learns` the first that come: so many at most."""

    __slots__ = ("_known", "_learns", "_most")

    def __init__(self, known: Iterable[str] = (), *, learns: bool = False, most: int = MOST_LABELS) -> None:
        self._most = most
        self._known = {name: name for name in sorted(known)[:most]}
        self._learns = learns

    @property
    def known(self) -> set[str]:
        """The names that are told by themselves."""
        return set(self._known)

    def of(self, name: str) -> str:
        """The value under which this name is told."""
        told = self._known.get(name)
        if told is not None:
            return told
        if not self._learns or len(self._known) >= self._most or len(name) > _LONGEST or not name.isprintable():
            return OTHER
        return self._known.setdefault(name, name)
