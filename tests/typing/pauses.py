"""What the type checkers of users see of pauses: never run, see `tasks`."""

from datetime import UTC, datetime
from typing import assert_type

from runner import Client, HttpClient, Pausable, PauseStatus, Runner

jobs = Runner("typing")


async def paused(client: Client, over_http: HttpClient) -> None:
    for pauses in (client.pauses, over_http.pauses, jobs.client.pauses):
        assert_type(await pauses.pause("task", "charge", "why", duration="1h"), PauseStatus)
        assert_type(await pauses.resume("queue"), PauseStatus | None)
        assert_type(await pauses.list(), list[PauseStatus])
    await client.pauses.pause("queue", until=datetime.now(UTC))
    await client.pauses.pause("line")  # type: ignore[arg-type]
    status = await client.status("o-17")
    assert_type(status.pause, PauseStatus | None)
    if status.pause is not None:
        assert_type(status.pause.what, Pausable)


def plainly(client: Client) -> None:
    assert_type(client.blocking.pauses.pause("key", "tenant/t7"), PauseStatus)
    assert_type(client.blocking.pauses.list(), list[PauseStatus])
