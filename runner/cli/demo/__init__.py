"""The tasks of a command without --app, and a demonstration with them: real calls and a killed worker, measured against the promises."""

from runner.cli.demo.tasks import jobs

__all__ = ["jobs"]
