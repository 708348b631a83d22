"""What doctor finds about shared limits: whether their home can be used, and whether the way to it leaves them their rate."""

from runner.clock import MICROSECONDS, monotonic_s
from runner.errors import NotPermitted, StoreUnavailable
from runner.limits import Limit, SlidingWindow, TokenBucket
from runner.store.doctor import examine
from runner.store.finding import Finding, Level
from runner.store.leases import Home

_CHECK = "shared limits"
_TRIPS = 5
_SLACK_S = 0.02
"""What a token needs beside two round trips before the next one can take its place."""
_MANY_TURNS = 20
"""A window that is so many times as long loses 5 % at most."""


async def examine_home(home: Home, limits: list[Limit]) -> list[Finding]:
    """Look at the home of these limits."""
    name = f"the home {home.keys.queue}"
    try:
        findings = await examine(home)
        trips = []
        for _ in range(_TRIPS):
            asked_s = monotonic_s()
            await home.limits(limits[0].name, most_buckets=0) if limits else await home.limit_names()
            trips.append(monotonic_s() - asked_s)
    except NotPermitted as error:
        return [Finding(_CHECK, Level.error, f"{name} of shared limits may not be used by this user: {error}")]
    except StoreUnavailable as error:
        return [
            Finding(_CHECK, Level.error, f"{name} of shared limits cannot be reached ({error}): their jobs wait; check RUNNER_SHARED_URL")
        ]
    wrong = [
        Finding(_CHECK, finding.level, f"{name}: {finding.text}") for finding in findings if finding.level in (Level.warning, Level.error)
    ]
    trip_s = min(trips)
    wrong += [Finding(_CHECK, Level.warning, text) for limit in limits if (text := _loss(limit, trip_s, name))]
    return wrong or [Finding(_CHECK, Level.ok, f"{name} answers within {1_000 * trip_s:.1f} ms")]


def _loss(limit: Limit, trip_s: float, name: str) -> str:
    """What the way to the home costs a limit of its rate; "" if that is little."""
    turn_s = 2 * trip_s + _SLACK_S
    if isinstance(limit, TokenBucket):
        needed = limit.refill * MICROSECONDS / limit.every_us * turn_s
        if limit.capacity < min(needed, limit.refill):
            return (
                f"limit {limit.name} has a burst of {limit.capacity}, and {name} is {1_000 * trip_s:.1f} ms away: with less than {needed:.0f} a part of"
                " its rate is lost"
            )
    elif isinstance(limit, SlidingWindow) and limit.window_us < _MANY_TURNS * turn_s * MICROSECONDS:
        window_s = limit.window_us / MICROSECONDS
        return (
            f"limit {limit.name} has a window of {window_s:g} s, and {name} is {1_000 * trip_s:.1f} ms away: about {100 * turn_s / (window_s + turn_s):.0f} %"
            " of its rate is lost; a TokenBucket with a burst loses none"
        )
    return ""
