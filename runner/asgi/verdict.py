"""Verdict: the decision about a request, and all that its caller may be told of it."""

from dataclasses import dataclass
from typing import Literal

from runner.asgi.allowance import Allowance
from runner.jobs import Taken


@dataclass(frozen=True, slots=True)
class Standing:
    """How one limit stands for a caller after the decision. left: None if nobody here knows."""

    allowance: Allowance
    left: int | None
    effective_s: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """`admitted`; `exceeded`: the caller asked for more than its limits allow; `reduced`: refused through no fault of the caller."""

    outcome: Literal["admitted", "exceeded", "reduced"]
    standings: tuple[Standing, ...] = ()
    violated: tuple[str, ...] = ()
    retry_after_s: int = 0
    reason: str = ""
    taken: Taken | None = None
    """The tokens, where Redis has given them."""

    @property
    def status(self) -> int | None:
        """The HTTP status of a refusal."""
        return {"admitted": None, "exceeded": 429, "reduced": 503}[self.outcome]
