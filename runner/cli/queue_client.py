"""What every command about a queue has in common: its options, and a client that is opened, asked and closed."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from runner.access import Actor, acting, actor_here
from runner.cli.loading import load
from runner.cli.options import ApiKey, App, AsJson, Queue, RedisUrl, Url
from runner.client import Client
from runner.errors import ConfigurationError
from runner.http_client import HttpClient
from runner.settings import load_settings

P = ParamSpec("P")
T = TypeVar("T")
G = TypeVar("G", bound="RedisTarget")

AnyClient = Client | HttpClient


@dataclass(frozen=True, slots=True)
class RedisTarget:
    """The queue a command is about that needs Redis itself, and how it answers. Each field is an option of every such command."""

    app: App = None
    queue: Queue = None
    redis_url: RedisUrl = None
    json: AsJson = False

    @property
    def worker_options(self) -> list[str]:
        """Those of them that a command has which serves the queue of its app."""
        given = {"--app": self.app, "--redis-url": self.redis_url}
        return [word for option, value in given.items() if value for word in (option, value)]

    def ask_redis(self, question: Callable[[Client], Awaitable[T]]) -> T:
        """The answer of `question`, given a client of the queue."""
        runner = load(self.app, redis_url=self.redis_url)

        async def answer() -> T:
            async with Client(self.queue or runner.queue, settings=runner.settings) as client:
                return await question(client)

        with acting(Actor(f"cli:{actor_here().by}", door="cli")):
            return asyncio.run(answer())


@dataclass(frozen=True, slots=True)
class Target(RedisTarget):
    """The same for a command that can ask the HTTP service of the queue in place of Redis."""

    url: Url = None
    api_key: ApiKey = field(default=None, repr=False)

    @property
    def options(self) -> list[str]:
        """The options that were given, for a command that is told: it is about the same queue then. The key is told nowhere."""
        return ["--url", self.url] if self.url else [*self.worker_options, *(["--queue", self.queue] if self.queue else [])]

    def ask(self, question: Callable[[AnyClient], Awaitable[T]]) -> T:
        """The answer of `question`, given a client of the queue."""
        about_redis = {"--app": self.app, "--queue": self.queue, "--redis-url": self.redis_url}
        given = next((option for option, value in about_redis.items() if value), None)
        if self.url and given:
            raise ConfigurationError(f"--url and {given} are about two queues, perhaps: give one of both")
        url = self.url or (None if given else load_settings().api_url)
        if url is None:
            if self.api_key is not None:
                raise ConfigurationError("--api-key is for a service: give its --url too, or set RUNNER_API_URL")
            return self.ask_redis(question)

        async def answer() -> T:
            async with HttpClient(url, key=self.api_key) as client:
                return await question(client)

        return asyncio.run(answer())


def about_queue(command: Callable[Concatenate[Target, P], None]) -> Callable[..., None]:
    """The command with the options of `Target` after its own; it receives them as one value, its first argument."""
    return _with_options(Target, command)


def about_redis(command: Callable[Concatenate[RedisTarget, P], None]) -> Callable[..., None]:
    """The same with the options of `RedisTarget`."""
    return _with_options(RedisTarget, command)


def _with_options(kind: type[G], command: Callable[Concatenate[G, P], None]) -> Callable[..., None]:
    shared = inspect.signature(kind).parameters
    own = list(inspect.signature(command).parameters.values())[1:]

    @wraps(command)
    def with_options(**options: Any) -> None:
        target = kind(**{name: options.pop(name) for name in shared})
        command(target, **options)  # type: ignore[call-arg] # Typer passes what the signature below names

    parameters = [*own, *shared.values()]
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_options
