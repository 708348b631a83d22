"""Limits, judged by a provider that nobody here wrote: nginx counts the calls, and refuses none, or few where too much is declared."""

from collections.abc import Callable

import httpx
import pytest

from tests.outside.adapting_door import accounts
from tests.outside.metered_door import BURST, answers_to, door

pytestmark = pytest.mark.slow


def test_the_provider_counts_and_refuses_what_comes_too_fast(program: Callable[[str], str]) -> None:
    with door(program("nginx")) as provider, httpx.Client() as client:
        answers = [client.get(f"{provider.url}/pay").status_code for _ in range(3 * BURST)]

    assert answers[: BURST + 1] == [200] * (BURST + 1)
    assert 429 in answers


def test_with_a_jitter_the_provider_refuses_nothing(program: Callable[[str], str]) -> None:
    answers, was_late = answers_to(program("nginx"), 200, jitter=0.25)

    if was_late and answers != {"200": 200}:
        pytest.skip("the machine held the workers up for longer than the jitter that is declared, and they said so")
    assert answers == {"200": 200}


def test_a_rate_that_is_declared_twice_too_high_is_found_out(program: Callable[[str], str]) -> None:
    """Loose bounds, as other processes have the CPU too: tests.outside.adapting_door prints the figures."""
    _, then = accounts(program("nginx"), 60, learning_s=30)

    assert then.use > 0.8
    assert then.most <= 2
