"""What every command about a queue has in common: four options, and a client that is opened, asked and closed."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from runner.access import Actor, acting, actor_here
from runner.cli.loading import load
from runner.cli.options import App, AsJson, Queue, RedisUrl
from runner.client import Client

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Target:
    """The queue a command is about, and how it answers. Each field is an option of every such command."""

    app: App = None
    queue: Queue = None
    redis_url: RedisUrl = None
    json: AsJson = False

    @property
    def options(self) -> list[str]:
        """The options that were given, for a command that is told: it is about the same queue then."""
        return [*self.worker_options, *(["--queue", self.queue] if self.queue else [])]

    @property
    def worker_options(self) -> list[str]:
        """Those of them that a command has which serves the queue of its app."""
        given = {"--app": self.app, "--redis-url": self.redis_url}
        return [word for option, value in given.items() if value for word in (option, value)]

    def ask(self, question: Callable[[Client], Awaitable[T]]) -> T:
        """The answer of `question`, given a client of the queue."""
        runner = load(self.app, redis_url=self.redis_url)

        async def answer() -> T:
            async with Client(self.queue or runner.queue, settings=runner.settings) as client:
                return await question(client)

        with acting(Actor(f"cli:{actor_here().by}")):
            return asyncio.run(answer())


def about_queue(command: Callable[Concatenate[Target, P], None]) -> Callable[..., None]:
    """The command with the options of `Target` after its own; it receives them as one value, its first argument."""
    shared = inspect.signature(Target).parameters
    own = list(inspect.signature(command).parameters.values())[1:]

    @wraps(command)
    def with_options(**options: Any) -> None:
        target = Target(**{name: options.pop(name) for name in shared})
        command(target, **options)  # type: ignore[call-arg] # Typer passes what the signature below names

    parameters = [*own, *shared.values()]
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_options
