"""Amendment: the needs of a job by the version of its task that was about to run it, where they are more than it was submitted with."""

from typing import NamedTuple


class Amendment(NamedTuple):
    """`spec`: what they come from, as a digest; `limits` and `line` as the scripts read them."""

    spec: str
    limits: str
    line: str

    def payload(self) -> bytes:
        """As finish.lua takes it."""
        return "\n".join(self).encode()

    @classmethod
    def read(cls, payload: bytes) -> "Amendment":
        """From a payload."""
        return cls(*payload.decode().split("\n"))
