"""A worker process of the branch: `python -m tests.chaos.campaign.branch.worker` and its `Orders`."""

from tests.chaos.campaign.at_work import work_for
from tests.chaos.campaign.branch.app import BranchWork
from tests.chaos.campaign.orders import Orders

if __name__ == "__main__":
    orders = Orders.given()
    work_for(BranchWork(orders.url, orders.notes, **orders.settings).runner)
