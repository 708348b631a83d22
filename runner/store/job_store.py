"""JobStore: the whole state of one queue, for whom one role is not enough."""

from runner.store.access import Access
from runner.store.budgets import Budgets
from runner.store.bulks import Bulks
from runner.store.claims import Claims
from runner.store.duties import Duties
from runner.store.flows import Flows
from runner.store.foreseeing import Foreseeing
from runner.store.leases import Leases
from runner.store.limits import Limits
from runner.store.listing import Listing
from runner.store.overview import Overviews
from runner.store.pauses import Pauses
from runner.store.schedules import Schedules
from runner.store.submissions import Submissions
from runner.store.waiting_line import Waiting


class JobStore(
    Submissions, Foreseeing, Waiting, Claims, Duties, Limits, Listing, Budgets, Bulks, Schedules, Pauses, Access, Flows, Overviews, Leases
):
    """All roles over the same connections. Every method is one atomic transition, safe to repeat; `StoreUnavailable` means try again later."""
