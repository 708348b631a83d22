"""The routes, one file for each subject. A route parses, calls the client, and shapes the answer; the runner decides."""

from runner.http.routes import (
    audit,
    batches,
    bulk,
    catalog,
    dashboard,
    events,
    health,
    history,
    jobs,
    limits,
    lines_of_limits,
    listing,
    metrics,
    overview,
    pauses,
    problems,
    schedules,
    submissions,
)

_SUBJECTS = (
    submissions,
    listing,
    jobs,
    batches,
    bulk,
    events,
    overview,
    limits,
    lines_of_limits,
    pauses,
    schedules,
    catalog,
    history,
    metrics,
    audit,
    health,
    problems,
)
GROUPS = tuple(subject.router for subject in (*_SUBJECTS, dashboard))
TAGS = [{"name": str(subject.router.tags[0]), "description": subject.__doc__ or ""} for subject in _SUBJECTS]
"""What OpenAPI says of each group."""

__all__ = ["GROUPS", "TAGS"]
