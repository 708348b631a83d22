"""The routes, one file per subject. Each parses, calls the client, and shapes the answer; decisions are the runner's."""

from runner.http.routes import catalog, health, jobs, limits, problems, submissions

GROUPS = (submissions.router, jobs.router, limits.router, catalog.router, health.router, problems.router)

__all__ = ["GROUPS"]
