"""What plain tests use in the place of coroutines."""

from runner.testing.inline import run_blocking as run

__all__ = ["run"]
