"""`python -m runner simulate`: what limits mean for a list of jobs, before anything runs."""

from runner.cli.simulate.command import simulate

__all__ = ["simulate"]
