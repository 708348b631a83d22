"""`python -m runner simulate`: how long a list of jobs takes under limits, as text, JSON or a picture. Nothing runs."""

from runner.cli.simulate.command import simulate

__all__ = ["simulate"]
