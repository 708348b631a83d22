"""A task where FastAPI takes a function: as a background task, a dependency or a route it runs in that process, awaited if it is async."""

import functools
import inspect
from typing import Annotated

import httpx
from fastapi import BackgroundTasks, Depends, FastAPI

from runner import Runner

jobs = Runner("shop", redis_url="redis://127.0.0.1:1")
ran: list[tuple[str, int]] = []


@jobs.task
async def charge(order: str, times: int = 1) -> str:
    """Charge an order."""
    ran.append((order, times))
    return f"charged {order}"


@jobs.task
def refund(order: str) -> str:
    ran.append((order, -1))
    return f"refunded {order}"


app = FastAPI()
app.get("/charge")(charge)


@app.post("/later")
async def later(background: BackgroundTasks) -> None:
    background.add_task(charge, "o1", times=2)
    background.add_task(charge.with_options(delay=3), "o2")
    background.add_task(functools.partial(charge, "o3"))
    background.add_task(refund, order="o4")


@app.get("/both")
async def both(charged: Annotated[str, Depends(charge)], refunded: Annotated[str, Depends(refund)]) -> list[str]:
    return [charged, refunded]


def client() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://shop")


async def test_a_background_task_runs_after_the_answer() -> None:
    ran.clear()
    async with client() as http:
        assert (await http.post("/later")).status_code == 200

    assert ran == [("o1", 2), ("o2", 1), ("o3", 1), ("o4", -1)]


async def test_a_dependency_and_a_route_have_the_parameters_of_the_function() -> None:
    async with client() as http:
        assert (await http.get("/both", params={"order": "o1", "times": 3})).json() == ["charged o1", "refunded o1"]
        assert (await http.get("/charge", params={"order": "o2"})).json() == "charged o2"
        assert (await http.get("/charge")).status_code == 422


def test_a_task_is_known_by_the_name_and_the_signature_of_its_function() -> None:
    assert (charge.__name__, charge.__doc__, charge.name) == ("charge", "Charge an order.", "charge")
    assert str(inspect.signature(charge)) == "(order: str, times: int = 1) -> str"
