"""The routes, one file for each subject. A route parses, calls the client, and shapes the answer; the runner decides."""

from runner.http.routes import catalog, health, jobs, limits, problems, submissions

GROUPS = (submissions.router, jobs.router, limits.router, catalog.router, health.router, problems.router)

__all__ = ["GROUPS"]
