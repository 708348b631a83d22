"""Two queues that share a limit, and in the first a budget and a limit whose provider counts: what the dashboard shows of them."""

from runner import BudgetWarning, Quota, Runner, TokenBucket, current_job

jobs, others = Runner("sharing"), Runner("sharing-too")

account = TokenBucket("account", rate="2/s", burst=4, shared=True)
usd = Quota("usd", 5_000_00, per="year", unit="USD", scale=2, warn_at=0.05)
lookups = TokenBucket("lookups", capacity=140, refill=1, every=86_400)


@jobs.task(limits=[account])
async def call() -> None:
    """Start when the account permits it."""


@others.task(name="call", limits=[account])
async def call_too() -> None:
    """The same, in the other queue."""


@jobs.on_budget
async def tell(warning: BudgetWarning) -> None:
    """Hear that a part of the budget is spent: the audit has it then."""


@jobs.task(limits=[usd], cost={"usd": "cents"})
async def buy(cents: int) -> None:
    """Spend a part of the budget."""


@jobs.task(limits=[lookups])
async def find() -> None:
    """Ask a provider, which says what is left."""
    current_job().observe("lookups", {"x-ratelimit-remaining": "112"})
