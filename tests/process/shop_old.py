"""The old version of the app of the deploy matrix, as `python -m runner worker --app tests.process.shop_old:app` runs it."""

from tests.process.shop import GATE, a_shop, note

app = a_shop()


@app.task
async def ping(order: str) -> str:
    note(order, "old")
    return order


@app.task(limits=[GATE])
async def charge(order: str) -> str:
    note(order, "old")
    return order
