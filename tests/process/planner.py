"""A producer that plans: flows, batches, unique jobs, acts upon many, pauses and schedules, all under the same ids each time it runs."""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvloop

from runner import JobFilter, JobOptions
from runner.errors import AlreadyFinished
from tests.process.planned_app import PlannedApp

PARENTS, MEMBERS, LATER = 120, 30, 20
"""So many parents take a call of `link` of their own."""
WAIT_S = 20.0


class Planner:
    """Each of its methods says again what was said if it is called again: whatever of it was done before is done once."""

    def __init__(self, app: PlannedApp) -> None:
        self.app = app

    async def flow(self, _: int) -> None:
        """Many, one after them, and one after that."""
        app = self.app
        parents = await app.submit(app.leaf, range(PARENTS))
        await app.submit(app.join.after(*parents), range(200, 201))
        await app.submit(app.join.after("j200"), range(201, 202))

    async def batch(self, _: int) -> None:
        """Members that are sent by three, and one at their end."""
        app = self.app
        then = app.join.with_options(id="j400").prepare(400)
        async with app.runner.batch("b", then=then, size=MEMBERS) as batch:
            for number in range(300, 300 + MEMBERS):
                batch.add(app.leaf.with_options(id=f"j{number}").prepare(number))
                if number % 10 == 9:
                    await batch.flush()

    async def newest(self, _: int) -> None:
        """Three that are alike, of which the last one's words are said."""
        for number in (500, 501, 502):
            await self.app.newest.with_options(id=f"j{number}", delay=5).submit("a", number)

    async def many(self, run: int) -> None:
        """Jobs of a tag that wait for long are cancelled, and forgotten."""
        app, bulks = self.app, self.app.runner.client.bulk
        await app.submit(app.nap, range(600, 600 + LATER), tags=["later"], delay=3_600)
        for action in ("cancel", "delete"):
            bulk = await bulks.begin(action, JobFilter(tag="later"), id=f"{action}-{run}")
            bulk = await bulks.counted(bulk.id, WAIT_S)
            with suppress(AlreadyFinished):
                await bulks.confirm(bulk.id, bulk.counted)
            await bulks.wait(bulk.id, WAIT_S)

    async def control(self, _: int) -> None:
        """A task is paused and goes on, a schedule comes, is called and goes."""
        client = self.app.runner.client
        await self.app.runner.submit_many([])  # its tasks are known, whether its worker has come or not
        await client.pauses.pause("task", "nap")
        await self.app.submit(self.app.nap, range(700, 705))
        await client.pauses.resume("task", "nap")
        await client.schedules.add("hourly", "leaf", {"number": 800}, every=3_600, options=JobOptions(priority="low"))
        await client.schedules.trigger("hourly")
        await client.schedules.remove("hourly")


async def main() -> None:
    url, queue, folder, text = sys.argv[1:]
    settings: dict[str, Any] = json.loads(text)
    plan, run = settings.pop("plan"), settings.pop("run")
    settings.pop("program")
    app = PlannedApp(url, queue, Path(folder), **settings)
    await getattr(Planner(app), plan)(run)
    await app.runner.close()


def start() -> None:
    """As a process of its own. It ends when all is planned."""
    uvloop.run(main())
    os._exit(0)
