"""How the demonstration looks: a block that is redrawn in place on a terminal, a line each second everywhere else."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from runner.cli.demo.measured import Finding
from runner.limits import TokenBucket

_SECONDS_A_LINE = 1.0
_LABEL = 9


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The run at one moment. `eta_s` is None while no job waits in line."""

    elapsed_s: float
    tokens: int
    next_token_s: float
    waiting: int
    running: int
    done: int
    failed: int
    eta_s: float | None


class View:
    """Shows one run. Use it in a `with`, whose end stops the redrawing."""

    def __init__(self, console: Console, limit: TokenBucket) -> None:
        self._console = console
        self._limit = limit
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._next_line_s = 0.0

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, now: Snapshot) -> None:
        """Draw the run as it is now; a plain line at most once a second."""
        if self._live is not None:
            self._live.update(self._block(now), refresh=True)
        elif now.elapsed_s >= self._next_line_s:
            self._next_line_s = now.elapsed_s - now.elapsed_s % _SECONDS_A_LINE + _SECONDS_A_LINE
            self._console.print(Text(f"{_at(now.elapsed_s)}  tokens {now.tokens:>2}  ").append_text(_counts(now)), soft_wrap=True)

    def tell(self, elapsed_s: float, text: str) -> None:
        """An event: a line that stays."""
        self.say(f"{_at(elapsed_s)}  {text}", "yellow")

    def say(self, text: str, style: str = "") -> None:
        """A line of its own."""
        self._console.print(Text(text, style), soft_wrap=True)

    def conclude(self, findings: Sequence[Finding]) -> None:
        """The summary: every finding with what was expected."""
        names, measured = max(len(f.name) for f in findings), max(len(f.measured) for f in findings)
        self.say("")
        for finding in findings:
            line = Text("  ok   " if finding.is_right else "  OFF  ", "green" if finding.is_right else "bold red")
            line.append(f"{finding.name:<{names}}  {finding.measured:>{measured}}", "default")
            line.append(f"  {finding.expected}", "dim")
            self._console.print(line, soft_wrap=True)
        self.say("")

    def _block(self, now: Snapshot) -> Group:
        ascii_only = self._console.options.ascii_only
        full, empty = "o." if ascii_only else "●○"
        done, failed, running, waiting = "#x=." if ascii_only else "█▚▓░"
        tokens = Text("tokens".ljust(_LABEL)).append(full * now.tokens, "cyan")
        tokens.append(empty * (self._limit.capacity - now.tokens), "dim")
        if now.tokens < self._limit.capacity:
            tokens.append(f"  +{self._limit.refill} in {now.next_token_s:.1f} s", "dim")
        jobs = Text("jobs".ljust(_LABEL)).append(done * now.done, "green").append(failed * now.failed, "red")
        jobs.append(running * now.running, "yellow").append(waiting * now.waiting, "dim")
        counts = Text(_at(now.elapsed_s).ljust(_LABEL)).append_text(_counts(now))
        return Group(Text(""), tokens, jobs, counts)


def _counts(now: Snapshot) -> Text:
    parts = [
        Text(f"done {now.done:>2}", "green"),
        Text(f"running {now.running:>2}", "yellow"),
        Text(f"waiting {now.waiting:>2}", "dim"),
        *([Text(f"failed {now.failed}", "red")] if now.failed else []),
        *([Text(f"ETA {now.eta_s:4.1f} s")] if now.eta_s is not None else []),
    ]
    return Text("  ").join(parts)


def _at(elapsed_s: float) -> str:
    return f"{elapsed_s:5.1f} s"
