"""Taken: tokens that code without a job has taken, and what the provider then says is left of the account."""

from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from typing import Self

from runner.errors import ConfigurationError


class Taken:
    """Tokens that were taken for a call, and whom to tell what its provider says: `with await jobs.take("openai", wait=10) as taken: ...`.

    In its `with` block the hook `sync_limit` tells it, as in a job.
    """

    def __init__(
        self, buckets: Mapping[str, str], tell: Callable[[str, object, str | None], int | None], *, is_named: bool = False
    ) -> None:
        self._buckets = buckets
        self._is_named = is_named
        self._tell = tell
        self._entered: list[Token[tuple[Taken, ...]]] = []

    def observe(self, limit: str | None, said: object, *, counter: str | None = None) -> int | None:
        """Say what the provider's answer tells is left of the account behind a limit, see `JobContext.observe`. Any thread may call it.

        Raises `ConfigurationError` for a limit of which no tokens were taken here, and for a Concurrency.
        """
        if not self.uses(limit):
            known = ", ".join(self._buckets) or "none"
            raise ConfigurationError(f"no tokens of limit {limit!r} were taken here (taken were those of: {known})")
        return self._tell(next(iter(self._buckets)) if limit is None else limit, said, counter)

    def uses(self, limit: str | None) -> bool:
        """Whether tokens of this limit were taken; None: of one alone, by the code that calls the provider itself."""
        return len(self._buckets) == 1 and not self._is_named if limit is None else limit in self._buckets

    def __enter__(self) -> Self:
        self._entered.append(_taken.set((self, *_taken.get())))
        return self

    def __exit__(self, *_: object) -> None:
        _taken.reset(self._entered.pop())


_taken: ContextVar[tuple[Taken, ...]] = ContextVar("runner_taken", default=())


def taken_here(limit: str | None) -> Taken | None:
    """The innermost block that took tokens of this limit."""
    return next((taken for taken in _taken.get() if taken.uses(limit)), None)
