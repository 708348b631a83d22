"""The names of the keys of limits that several queues share: two of each queue, and those of a home."""

from runner.store.prefixed import Prefixed


class SharedKeys(Prefixed):
    """A part of `Keys`."""

    __slots__ = ()

    @property
    def leases(self) -> str:
        return f"{self.prefix}leases"

    @property
    def identity(self) -> str:
        return f"{self.prefix}identity"

    def lease(self, bucket: str) -> str:
        return f"{self.prefix}lease:{bucket}"

    def asking(self, bucket: str) -> str:
        return f"{self.prefix}asking:{bucket}"

    def asks(self, partition: str) -> str:
        return f"{self.prefix}asks:{partition}"

    def alive(self, bucket: str) -> str:
        return f"{self.prefix}alive:{bucket}"

    def told(self, partition: str) -> str:
        return f"{self.prefix}told:{partition}"
