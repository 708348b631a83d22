"""live: a text on the terminal that is written anew each second, until q or Ctrl-C; once, where the output is no terminal."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.live import Live
from rich.text import Text

from runner.cli.output import say
from runner.cli.queue_client import AnyClient, Target
from runner.clock import monotonic_s
from runner.errors import StoreUnavailable
from runner.jobs import span
from runner.plain_text import escaped

if sys.platform != "win32":  # Windows has neither, and its users ask queues too
    import termios
    import tty

LOOK_S = 1.0

Ask = Callable[[AnyClient, int | None], Awaitable[Sequence[str]]]
"""The lines of a view; asked with the number of lines that fit, or None for all."""


def show_live(target: Target, ask: Ask, *, once: bool) -> None:
    """Show a view until somebody presses q or Ctrl-C; once if that is asked for, or nobody sees it move.

    While the queue cannot be asked the latest lines stay, and how old they are is said.
    """
    if once or not sys.stdout.isatty():
        for line in target.ask(lambda client: ask(client, None)):
            say(line)
        return
    console = Console()
    try:
        target.ask(lambda client: _follow(client, ask, console))
    except KeyboardInterrupt:
        return


async def _follow(client: AnyClient, ask: Ask, console: Console) -> None:
    lines, told_s, banner = list[str](), monotonic_s(), ""
    with _leaving() as leaves, Live(console=console, auto_refresh=False, screen=True) as live:
        while not leaves.is_set():
            try:
                lines, told_s, banner = list(await ask(client, console.height - 1)), monotonic_s(), ""
            except StoreUnavailable as error:
                banner = f"NOT CONNECTED, what is shown is {span(monotonic_s() - told_s)} old: {error}"
            live.update(screen_of(lines, banner, console.width, console.height), refresh=True)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await leaves.wait()


@contextmanager
def _leaving() -> Iterator[asyncio.Event]:
    """Set once somebody presses q. Meanwhile no key is shown, and Ctrl-C and Ctrl-Z do what they do."""
    leaves, loop = asyncio.Event(), asyncio.get_running_loop()
    if sys.platform == "win32" or not sys.stdin.isatty():
        yield leaves
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)

    def read() -> None:
        keys = os.read(descriptor, 1_024)
        if b"q" in keys.lower():
            leaves.set()
        if not keys:  # nobody types there any more
            loop.remove_reader(descriptor)

    tty.setcbreak(descriptor)
    loop.add_reader(descriptor, read)
    try:
        yield leaves
    finally:
        loop.remove_reader(descriptor)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def screen_of(lines: Sequence[str], banner: str, width: int, height: int) -> Text:
    """What is on the screen: no line is longer than it, and old lines are dim."""
    shown = [escaped(line)[:width] for line in ([banner] if banner else []) + list(lines)][:height]
    text = Text(no_wrap=True, overflow="crop")
    for at, line in enumerate(shown):
        text.append(line + "\n" * (at < len(shown) - 1), style="bold red" if banner and at == 0 else "dim" if banner else "")
    return text
