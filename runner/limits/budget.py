"""Budget: what a declaration says of one: what its tokens are, and of which shares somebody is to be told."""

import math
from collections.abc import Sequence

from runner.errors import ConfigurationError
from runner.foreign import shown
from runner.limits.policy import Unit
from runner.ranges import checked_whole

_LONGEST_UNIT = 16
_MOST_WARNINGS = 5


def unit_of(of: str, unit: object, scale: object) -> Unit | None:
    """A unit as it is declared; None without one. Raises `ConfigurationError`."""
    if unit is None:
        if scale != 0 or isinstance(scale, bool):
            raise ConfigurationError(f"{of}: scale={shown(scale, 80)} is given without a unit: give the unit too, like unit='USD'")
        return None
    if not isinstance(unit, str) or not unit.isprintable() or not 1 <= len(unit) <= _LONGEST_UNIT or unit != unit.strip():
        raise ConfigurationError(f"{of}: unit={shown(unit, 80)} cannot be used: give a word of 1 to {_LONGEST_UNIT} characters, like 'USD'")
    return Unit(unit, checked_whole("scale", scale, of=of))


def warnings_of(of: str, warn_at: object) -> tuple[float, ...]:
    """The shares at which somebody is to be told, the smallest first. Raises `ConfigurationError`."""
    given: Sequence[object] = warn_at if isinstance(warn_at, Sequence) and not isinstance(warn_at, (str, bytes)) else (warn_at,)
    shares = sorted({float(share) for share in given if isinstance(share, (int, float)) and _is_share(share)})
    if len(shares) != len(given) or len(shares) > _MOST_WARNINGS:
        raise ConfigurationError(
            f"{of}: warn_at={shown(warn_at, 80)} cannot be used: give a share above 0 and up to 1, like 0.8, or up to {_MOST_WARNINGS} of them"
        )
    return tuple(shares)


def _is_share(share: float) -> bool:
    return not isinstance(share, bool) and math.isfinite(share) and 0 < share <= 1
