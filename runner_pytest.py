"""The fixtures `test_queue` and `runner_server` for pytest, which loads this file in every project where the package is installed.

So it imports nothing but pytest until a test asks for a fixture. `-p no:metered_runner` turns it off.
"""

import importlib
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture(scope="session")
def runner_server() -> str:
    """The URL of the server of `test_queue`: the embedded one of this process. Override this fixture to use a server of your own."""
    url: str = importlib.import_module("runner.testing").server_url()
    return url


@pytest.fixture
def test_queue(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """A function that makes a `runner.testing.TestQueue` of your apps, for `async with` or `with`."""

    def make(*apps: Any, **options: Any) -> Any:
        url = request.getfixturevalue("runner_server")
        return importlib.import_module("runner.testing").TestQueue(*apps, **{"url": url, **options})

    return make
