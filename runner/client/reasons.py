"""The reason of a change, as an operator gives it: shown with what was changed, and written into the audit."""

from runner.errors import ConfigurationError
from runner.plain_text import is_line

LONGEST_REASON = 500
"""Most characters of a reason."""


def checked_reason(reason: str) -> str:
    """The reason. Raises `ConfigurationError` for one that cannot be shown."""
    given: object = reason
    if not is_line(given, LONGEST_REASON):
        raise ConfigurationError(
            f"reason {str(given)[:40]!r} cannot be shown to people: give one line of at most {LONGEST_REASON} characters"
        )
    return reason
