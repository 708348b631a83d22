"""A limit with a jitter, judged by a provider that nobody here wrote: nginx counts the calls, and refuses none."""

from collections.abc import Callable

import pytest

from tests.outside.metered_door import answers_to

pytestmark = pytest.mark.slow


def test_with_a_jitter_the_provider_refuses_nothing(program: Callable[[str], str]) -> None:
    assert answers_to(program("nginx"), 200, jitter=0.25) == {"200": 200}
