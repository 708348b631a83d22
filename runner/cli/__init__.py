"""The command line. Only this room prints, and only it ends the process."""

from runner.cli.app import main

__all__ = ["main"]
