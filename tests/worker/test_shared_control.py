"""What a change of a limit that several queues share answers: how it stands at its home, of which its queues are told a moment later."""

import pytest

from runner import Runner, TokenBucket
from runner.cli.limits import details
from runner.limits import LimitState
from runner.store import Home, Role
from tests.topologies import queue_name


async def publish(app: Runner, key: str | None = None) -> str:
    """The scope in which it is shared."""
    scope = queue_name()
    app.limit(TokenBucket("account", rate="10/s", burst=20, key=key, shared=scope))

    @app.task
    async def other() -> None: ...

    await other.submit()
    return scope


@pytest.mark.parametrize("key", [None, "{tenant}"])
async def test_a_freeze_of_a_shared_limit_and_its_end_are_answered_as_they_are(app: Runner, key: str | None) -> None:
    await publish(app, key)
    control = app.client.control
    frozen = await control.freeze("account", 60, "trouble")
    assert frozen.state is LimitState.frozen
    assert ": trouble" in "\n".join(details(frozen, 0))
    assert (await control.show("account")).state is LimitState.frozen
    released = await control.release("account")
    assert released.state is LimitState.idle
    assert "frozen" not in "\n".join(details(released, 0))


async def test_a_shared_limit_is_shown_with_the_numbers_that_stand_at_its_home(app: Runner) -> None:
    scope = await publish(app)
    other = Home(app.settings.redis_url or "", scope, app.settings)
    await other.publish({}, [TokenBucket("account", rate="40/s", burst=9)], role=Role.worker)
    await other.close()
    status = await app.client.control.show("account")
    assert status.code.to_json() == TokenBucket("account", rate="40/s", burst=9, shared=scope).to_json()
    assert status.policy.words == "40/s, burst 9"


async def test_tokens_of_a_shared_limit_are_shown_as_those_in_the_hand_of_the_queue(app: Runner) -> None:
    await publish(app)
    lines = list(details(await app.client.control.show("account"), 0))
    assert any(line.startswith("  shared in scope") and "20 tokens that no queue has" in line for line in lines)
    assert any(line.split()[:4] == ["account", "0", "in", "hand"] for line in lines)
