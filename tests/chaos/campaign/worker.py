"""A worker process of a campaign: `python -m tests.chaos.campaign.worker` and its `Orders`. Its children import it by this name."""

from tests.chaos.campaign.at_work import work_for
from tests.chaos.campaign.orders import Orders
from tests.chaos.campaign.workload import Workload

_orders = Orders.given()
jobs = Workload(_orders.url, _orders.notes, _orders.version, **_orders.settings).runner

if __name__ == "__main__":
    _orders.tell_children()
    work_for(jobs)
