"""Prefixed: what the parts of `Keys` have in common."""


class Prefixed:
    """Names of keys that begin alike."""

    __slots__ = ()

    @property
    def prefix(self) -> str:
        """What the names of all keys of a queue begin with. `Keys` has it."""
        raise NotImplementedError
