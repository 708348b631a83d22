"""Times as an operator or a provider says them, in seconds."""

from contextlib import suppress

from runner.clock import MICROSECONDS, wall_us
from runner.errors import ConfigurationError
from runner.limits import read
from runner.ranges import checked


def seconds_said(what: str, said: object) -> object:
    """The seconds of `what`. A number is taken as it is, so that an impossible one is refused and not adjusted. Raises `ConfigurationError`."""
    if isinstance(said, str):
        with suppress(ValueError):
            return float(said)
    if isinstance(said, (int, float)):
        return said
    word = read(said, wall_us() / MICROSECONDS)
    if word.seconds is None:
        why = word.unreadable or "not said"
        raise ConfigurationError(f'{what} is {why}: give seconds, or what the provider said, like "6m0s" or a response')
    return word.seconds


def seconds_back(of: str, since: object) -> float:
    """How far back the audit or the history is asked for. Raises `ConfigurationError`."""
    return checked("duration", seconds_said(f"the time of the {of}", since), of=of)
