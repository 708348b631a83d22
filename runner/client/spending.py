"""What was spent of budgets, as it is asked."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from runner.client.control import code_of
from runner.client.said_times import seconds_back
from runner.clock import MICROSECONDS
from runner.errors import ConfigurationError
from runner.jobs import KEPT_DAYS, LATELY, BudgetPace, Series, Spending, SpentBy, day_number, pace_of, spending_of
from runner.limits import LimitStatus, Quota
from runner.names import unknown_name
from runner.store import JobStore

_DAY_S = 86_400


async def spending(store: JobStore, limit: str, by: object, since: object) -> Spending:
    """What was spent of a budget. Raises `ConfigurationError`, `UnknownLimit`, `StoreUnavailable`."""
    kind, since_s = checked_by(by), seconds_back("spending", since)
    if since_s > KEPT_DAYS * _DAY_S:
        raise ConfigurationError(f"what was spent is asked for of {since_s:.0f} seconds: it is kept for {KEPT_DAYS} days")
    code = await code_of(store, limit)
    if code.unit is None:
        raise ConfigurationError(
            f"limit {limit!r} is no budget, so what is taken of it is counted for no task or key: declare a Quota with a unit;"
            f" the history of l:{limit} has the tokens of all"
        )
    if kind is SpentBy.key and code.key is None:
        raise ConfigurationError(f"limit {limit!r} has no key: ask for what was spent by task or by day")
    now_s = await store.history_now_us() / MICROSECONDS
    first, last = (datetime.fromtimestamp(at_s, UTC).date() for at_s in (now_s - since_s, now_s))
    days = await store.spent(limit, day_number(first), day_number(last), by_key=kind is SpentBy.key)
    return spending_of(limit, code.unit, kind, first, days)


def checked_by(by: object) -> SpentBy:
    """What the rows are about. Raises `ConfigurationError`."""
    try:
        return SpentBy(by)  # type: ignore[arg-type] # what is none is refused here
    except ValueError:
        raise ConfigurationError(unknown_name("spending", "kind of row", str(by), [one.value for one in SpentBy])) from None


async def budget_pace(status: LimitStatus, now_s: float, history: Callable[..., Awaitable[list[Series]]]) -> BudgetPace | None:
    """When a budget ends at the present pace; see `Client.budget`. `history` of the client. Raises what that raises, and `ConfigurationError`."""
    limit = status.policy
    if not isinstance(limit, Quota) or limit.unit is None or limit.key is not None:
        raise ConfigurationError(
            f"limit {status.name!r} is no budget of which the end can be told: that is known of a Quota with a unit and without a key"
        )
    lately = LATELY[limit.per]
    (series,) = await history(f"l:{status.name}", step=lately.step, since=lately.known_s)
    return pace_of(status, series.rows, now_s)
