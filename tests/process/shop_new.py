"""The new version of the app of the deploy matrix: `charge` has an argument and a limit more, and `refund` is a new task."""

from runner import TokenBucket
from tests.process.shop import GATE, a_shop, note

FRAUD = TokenBucket("fraud", rate="20/s", burst=25)
app = a_shop()


@app.task
async def ping(order: str) -> str:
    note(order, "new")
    return order


@app.task(limits=[GATE, FRAUD])
async def charge(order: str, remark: str = "") -> str:
    note(order, "new")
    return f"{order} {remark}".strip()


@app.task(limits=[FRAUD])
async def refund(order: str) -> str:
    note(order, "new")
    return f"refund of {order}"
