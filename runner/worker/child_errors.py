"""What a child's failure is in its worker: an error like a handler's, with what the child has decided of it."""

from typing import Any

from runner.errors import ChildError
from runner.jobs import Ending, Throttle, Verdict
from runner.limits import Word


class RaisedInChild(ChildError):
    """`verdict`: what it makes of the attempt; the types of errors that decide it are the child's."""

    def __init__(self, said: dict[str, Any]) -> None:
        super().__init__(str(said["type"]), str(said["text"]), str(said["traceback"]))
        throttles = [Throttle(limit, Word(*word)) for limit, word in said["throttles"]]
        self.verdict = Verdict(Ending(said["ending"]), self, float(said["delay_s"]), throttles)
