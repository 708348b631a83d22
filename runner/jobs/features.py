"""Features: what a job can have that most jobs have not, as include/features.lua reads it. Each feature has a row here."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from runner.errors import InvalidOption
from runner.foreign import shown
from runner.jobs.flow import checked_parents, checked_policy, flow_features
from runner.jobs.job import check_job_id
from runner.jobs.job_options import JobOptions
from runner.jobs.tags import checked_tags
from runner.jobs.task_spec import TaskSpec
from runner.jobs.unique import Debounce, Uniqueness, asked_uniqueness, fields_of_mark, mark_of_tenant, uniqueness
from runner.limits import key_of


class Call(NamedTuple):
    """A call as features see it: its task, and what they may ask of its arguments."""

    task: str
    options: JobOptions
    values: Callable[[str], Mapping[str, Any]]
    """The arguments that a template names, as scalars."""
    fingerprint: Callable[[], str]
    """What stands for all arguments."""


class Row(NamedTuple):
    """One feature. declared: what the task says of all its jobs, None for nothing. made: what the scripts are told of one job, None for nothing.

    owned: the same of a job of a tenant, if that differs.
    """

    declared: Callable[[TaskSpec], Any]
    made: Callable[[Call, Any], Any]
    owned: Callable[[Any, str], Any] | None = None


def _unique(options: JobOptions, declared: Uniqueness | None) -> Uniqueness | None:
    return declared if options.unique is None else asked_uniqueness(options.unique)


def _mark(call: Call, declared: Uniqueness | None) -> dict[str, Any] | None:
    unique = _unique(call.options, declared)
    if unique is None:
        return None
    value = f"~{call.fingerprint()}" if unique.key is None else key_of("unique", unique.key, call.values(unique.key))
    return fields_of_mark(unique, f"{call.task}/{value}")


def _tags(call: Call, _: object) -> str | None:
    return " ".join(checked_tags(call.options.tags)) or None


def _follow(call: Call, _: None) -> dict[str, Any] | None:
    after, on_failure = call.options.after, call.options.on_failure
    if after is None:
        if on_failure is not None:
            raise InvalidOption(f"on_failure is {on_failure!r}, and the job comes after no other: give after, or leave it out")
        return None
    if isinstance(after, str) or not isinstance(after, Sequence):
        raise InvalidOption(f"after is {shown(after, 80)}: give a list of ids of jobs")
    for job_id in after:
        check_job_id(str(job_id).rpartition("/")[2])
    return flow_features(checked_parents(after), "cancel" if on_failure is None else checked_policy(on_failure))


def _follow_of_tenant(value: dict[str, Any], tenant: str) -> dict[str, Any]:
    return {**value, "after": [f"{tenant}/{job_id}" for job_id in value["after"]]}


def _batch(call: Call, _: None) -> str | None:
    return None if call.options.batch is None else check_job_id(call.options.batch)


def _batch_of_tenant(batch_id: str, tenant: str) -> str:
    return f"{tenant}/{batch_id}"


ROWS: Mapping[str, Row] = {
    "unique": Row(lambda spec: uniqueness(spec.unique), _mark, mark_of_tenant),
    "tags": Row(lambda _: None, _tags),
    "follow": Row(lambda _: None, _follow, _follow_of_tenant),
    "of_batch": Row(lambda _: None, _batch, _batch_of_tenant),
}


class Features:
    """The features of the jobs of one task. `any`: whether the task itself declares one."""

    def __init__(self, spec: TaskSpec) -> None:
        self._task = spec.name
        self._declared = {name: row.declared(spec) for name, row in ROWS.items()}
        self.any = any(declared is not None for declared in self._declared.values())

    def options(self, options: JobOptions) -> JobOptions:
        """The options of a job with the delay of a debounced one. Raises `InvalidOption`."""
        unique = _unique(options, self._declared["unique"])
        if not isinstance(unique, Debounce):
            return options
        if options.delay is not None or options.run_at is not None:
            raise InvalidOption(
                f"task {self._task!r} is debounced, which delays its jobs by {unique.delay:g} s: leave delay and run_at out"
            )
        return options._replace(delay=unique.delay)

    def of(self, options: JobOptions, values: Callable[[str], Mapping[str, Any]], fingerprint: Callable[[], str]) -> str:
        """What a job has, as JSON; "" for nothing. Raises a `SubmissionRefused`."""
        call = Call(self._task, options, values, fingerprint)
        made = {name: row.made(call, self._declared[name]) for name, row in ROWS.items()}
        found = {name: value for name, value in made.items() if value is not None}
        return json.dumps(found, separators=(",", ":")) if found else ""


def of_tenant(features: str, tenant: str) -> str:
    """What the job of a tenant has: whatever names other jobs names those of the same tenant."""
    if not features:
        return ""
    owned = {name: value if (own := ROWS[name].owned) is None else own(value, tenant) for name, value in json.loads(features).items()}
    return json.dumps(owned, separators=(",", ":"))
