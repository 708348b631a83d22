"""Scope: one right of a key; and the presets, which name the sets of them that most keys have."""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from runner.errors import ConfigurationError
from runner.names import unknown_name


class Scope(StrEnum):
    """One right. Each route of the HTTP API needs one of them, or none. None of them makes keys: that takes access to Redis."""

    jobs_submit = "jobs:submit"
    jobs_read = "jobs:read"
    jobs_cancel = "jobs:cancel"
    """Cancel jobs, and run ended ones again."""
    jobs_manage = "jobs:manage"
    """Delete ended jobs, act on many jobs at once, and pause the queue, tasks, pools and values of keys."""
    jobs_debug = "jobs:debug"
    """See tracebacks, which show the handler's code and paths."""
    limits_read = "limits:read"
    limits_write = "limits:write"
    workers_read = "workers:read"
    tasks_write = "tasks:write"
    """Remove tasks that no worker serves."""
    audit_read = "audit:read"
    schedules_read = "schedules:read"
    schedules_write = "schedules:write"
    """Add, change, pause, run and remove schedules, whose jobs run without a right of anybody."""
    stats_read = "stats:read"
    """See how much all callers do: the history, by task and limit."""


_READ = {Scope.jobs_read, Scope.limits_read, Scope.workers_read, Scope.stats_read, Scope.schedules_read}

PRESETS: Mapping[str, frozenset[Scope]] = {
    "producer": frozenset({Scope.jobs_submit, Scope.jobs_read}),
    "observer": frozenset(_READ),
    "operator": frozenset(Scope) - {Scope.limits_write, Scope.audit_read},
    "admin": frozenset(Scope),
}


SHARED = frozenset({Scope.limits_write, Scope.tasks_write, Scope.audit_read, Scope.stats_read, Scope.schedules_read, Scope.schedules_write})
"""Rights to what all tenants share: no key of a tenant has them."""


def scopes_of(preset: str | None, more: Iterable[str] = (), *, tenant: str | None = None) -> frozenset[Scope]:
    """The scopes of a preset, without those that no key of a tenant has, and those named beside it.

    Raises `ConfigurationError` for an unknown name, and if there is none.
    """
    if preset is not None and preset not in PRESETS:
        raise ConfigurationError(unknown_name("a key", "preset", preset, PRESETS))
    names = list(more)
    for name in names:
        if name not in set(Scope):
            raise ConfigurationError(unknown_name("a key", "scope", name, [scope.value for scope in Scope]))
    given = frozenset[Scope]() if preset is None else PRESETS[preset] - (SHARED if tenant is not None else set())
    scopes = given | {Scope(name) for name in names}
    if not scopes:
        raise ConfigurationError(f"a key needs rights: give a preset ({', '.join(PRESETS)}) or scopes ({', '.join(Scope)})")
    return scopes
