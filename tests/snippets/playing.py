"""Run the Python of a page: its blocks are one program, with a worker for each app that they declare."""

import ast
import asyncio
import inspect
import sys
import types
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

from runner import Runner
from tests.eventually import eventually
from tests.pages import DOCS
from tests.snippets.reading import Block, blocks_of

LONGEST_S = 120


async def play(blocks: list[Block], names: dict[str, Any]) -> dict[str, Any]:
    """Run them in order in these names; a block that awaits in the loop of the caller, another in a thread, as in a script."""
    module = types.ModuleType("page")
    module.__dict__.update(names)
    sys.modules["page"] = module  # where Python looks for the names of annotations
    space = module.__dict__
    async with AsyncExitStack() as stack:
        working: list[Runner[Any]] = []
        for block in blocks:
            for app in _apps(space, working):
                working.append(app)
                await stack.enter_async_context(app.running(worker=True))
                await eventually(app.client.tasks)
            code = compile("\n" * (block.line - 1) + block.text, block.place, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            async with asyncio.timeout(LONGEST_S):
                if code.co_flags & inspect.CO_COROUTINE:
                    await eval(code, space)
                else:
                    await asyncio.to_thread(exec, code, space)
    return space


def _apps(names: dict[str, Any], known: list[Runner[Any]]) -> list[Runner[Any]]:
    """The apps with tasks among these names, each once, without those that are known."""
    found = [value for value in names.values() if isinstance(value, Runner) and value.tasks]
    return [app for number, app in enumerate(found) if app not in known and app not in found[:number]]


@contextmanager
def shop() -> Iterator[None]:
    """The package `shop` that the pages speak of: its module `tasks` is the first program of the page for newcomers."""
    package, tasks = types.ModuleType("shop"), types.ModuleType("shop.tasks")
    package.__path__ = []
    (first, *_) = (block for block in blocks_of(DOCS / "start" / "five-minutes.md") if block.language == "python")
    sys.modules |= {"shop": package, "shop.tasks": tasks}
    try:
        exec(compile(first.text, "shop/tasks.py", "exec"), tasks.__dict__)
        yield
    finally:
        for name in ("shop", "shop.tasks"):
            del sys.modules[name]
