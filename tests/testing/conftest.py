"""Apps of their own queue, for the tests of the testing kit; each test has the embedded server of its process."""

import pytest

from runner import Runner


@pytest.fixture
def app() -> Runner:
    """It names no server: what a test does with it outside of a TestQueue fails."""
    return Runner("shop", redis_url="redis://nowhere.invalid:1/0")
