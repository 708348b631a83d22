"""The routes, one file for each subject. A route parses, calls the client, and shapes the answer; the runner decides."""

from runner.http.routes import audit, catalog, events, health, jobs, limits, problems, submissions

GROUPS = (submissions.router, jobs.router, events.router, limits.router, catalog.router, audit.router, health.router, problems.router)

__all__ = ["GROUPS"]
