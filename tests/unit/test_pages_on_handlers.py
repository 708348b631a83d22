"""The Python of the pages on what surrounds handlers runs as it stands there, and the tests in it pass."""

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

from runner import Runner
from tests.pages import page


def run_page(name: str) -> dict[str, Any]:
    """The names of a page, whose blocks are one program."""
    text = page(name).read_text()
    names: dict[str, Any] = {"__name__": name}
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(block, name, "exec"), names)
    return names


def checks_in(names: dict[str, Any]) -> list[Callable[[], Any]]:
    return [value for name, value in names.items() if name.startswith("test_")]


@pytest.mark.parametrize("page", ["dependencies.md", "lifespan.md"])
async def test_the_python_of_a_page_runs_and_its_tests_pass(page: str) -> None:
    names = run_page(page)
    assert any(isinstance(value, Runner) and value.tasks for value in names.values())
    for test in checks_in(names):
        result = test()
        if inspect.isawaitable(result):
            await result


async def test_the_first_example_of_dependencies_is_what_the_page_says() -> None:
    names = run_page("dependencies.md")
    assert names["charge"].definition.spec.parameters["required"] == ["order_id"]
    assert await names["charge"]("o-17") == "charged o-17 by AsyncClient"
    session = names["get_session"]()
    events = await anext(session)
    with pytest.raises(KeyError):
        await session.athrow(KeyError("handler"))
    assert events == ["rolled back"]
    assert names["get_name"](names["Container"]()) == "from the container"
