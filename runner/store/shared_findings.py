"""What doctor finds about shared limits: whether their home can be used, and whether the way to it leaves them their rate."""

from runner.clock import MICROSECONDS, monotonic_s
from runner.errors import NotPermitted, StoreUnavailable
from runner.limits import TokenBucket
from runner.store.doctor import examine
from runner.store.finding import Finding, Level
from runner.store.leases import Home

_CHECK = "shared limits"
_TRIPS = 5
_SLACK_S = 0.02
"""What a token needs beside two round trips before the next one can take its place."""


async def examine_home(home: Home, limits: list[TokenBucket]) -> list[Finding]:
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
    for limit in limits:
        per_second = limit.refill * MICROSECONDS / limit.every_us
        needed = per_second * (2 * trip_s + _SLACK_S)
        if limit.capacity < min(needed, limit.refill):
            wrong.append(
                Finding(
                    _CHECK,
                    Level.warning,
                    f"limit {limit.name} has a burst of {limit.capacity}, and {name} is {1_000 * trip_s:.1f} ms away: with less than {needed:.0f} a part of"
                    " its rate is lost",
                )
            )
    return wrong or [Finding(_CHECK, Level.ok, f"{name} answers within {1_000 * trip_s:.1f} ms")]
