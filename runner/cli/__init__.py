"""The command line. Only this room prints, and only it ends the process."""

from runner.extras import needed_by

with needed_by("the command line"):
    from runner.cli.app import main

__all__ = ["main"]
