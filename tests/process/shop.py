"""What both versions of the shop share, and its producer: `python -m tests.process.shop shop_old` submits what its input says.

Each line of the input is a JSON list: by code or by name ("code", "name"), a task, its arguments, an id. Each gets one line as the answer:
the id, or the error. It ends with its input.
"""

import asyncio
import importlib
import json
import os
import sys
from typing import Any

from runner import Client, JobOptions, Runner, TokenBucket
from runner.errors import RunnerError

GATE = TokenBucket("gate", rate="50/s", burst=60)
"""Its burst is enough for all that comes before there is a worker: what waits then does not wait for tokens."""


def a_shop() -> Runner:
    """Queue and log are those of the environment, and so are the settings."""
    return Runner(os.environ["SHOP_QUEUE"])


def note(order: str, version: str) -> None:
    """An order runs at a worker of this version."""
    descriptor = os.open(os.environ["SHOP_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{order} {version}\n".encode())
    os.close(descriptor)


async def produce(version: str) -> None:
    app: Runner = importlib.import_module(f"tests.process.{version}").app
    async with Client(app.queue, settings=app.settings) as by_name:
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(await submitted(app, by_name, *json.loads(line)), flush=True)
    await app.close()


async def submitted(app: Runner, by_name: Client, way: str, task: str, args: dict[str, Any], job_id: str) -> str:
    try:
        if way == "code":
            return (await app.tasks[task].with_options(id=job_id).submit(**args)).id
        return (await by_name.submit(task, args, JobOptions(id=job_id))).id
    except RunnerError as error:
        return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    asyncio.run(produce(sys.argv[1]))
