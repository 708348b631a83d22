"""Calls: how a call of one task becomes a submission, from its JSON, whichever door it came by: by code, by name or over HTTP."""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache, partial
from hashlib import blake2b
from typing import Any

from pydantic_core import from_json

from runner.errors import InvalidArguments, NeedsDiffer
from runner.jobs.amendment import Amendment
from runner.jobs.canonical import Fingerprints
from runner.jobs.features import Features
from runner.jobs.job import StartedJob
from runner.jobs.job_options import JobOptions, check_options
from runner.jobs.submission import Submission, encoded_needs, needs_of_call, prepare
from runner.jobs.task_spec import TaskSpec
from runner.jobs.used_arguments import UsedArguments, uses_of_template
from runner.limits import Limit, bucket_name, decode_needs, encode_needs

_MOST_TEMPLATES = 100
"""Of keys that submissions name: what reads their arguments is kept."""
_MOST_A_VERSION = 2
"""How often one version of a task amends one job: more often means that it reads something else each time."""


class Calls:
    """The calls of one task. `limits` are those of its spec, as the code declares them."""

    def __init__(self, spec: TaskSpec, limits: Sequence[Limit], *, by_code: bool) -> None:
        self._spec = spec
        self._limits = tuple(limits)
        self._by_code = by_code
        self._used = UsedArguments(spec, limits, by_code=by_code)
        self._features = Features(spec)
        self._reader_of = lru_cache(_MOST_TEMPLATES)(self._new_reader)
        self.by_code_only = self._used.by_code_only
        self.digest = _digest(spec, limits)
        self._same_needs: dict[int, tuple[str, str]] = {}

    def prepare(self, encoded: bytes, options: JobOptions) -> Submission:
        """One job, from the JSON of its arguments as the task's type writes it. Raises a `SubmissionRefused` for one that could never start."""
        check_options(options)
        has_features = self._features.any or options.has_features
        if not self._limits and options.id is None and not has_features:
            return prepare(self._spec, (), encoded, {}, options, None, self.digest)
        call = self._read(encoded)
        args, costs = self._used.of(call, options.cost) if self._limits else ({}, {})
        fingerprint = "" if options.id is None else self._fingerprint(call)
        same = None if self._used.any or options.cost else self._same_needs
        features = ""
        if has_features:
            options = self._features.options(options)
            features = self._features.of(options, partial(self._values, call), partial(self._fingerprint, call))
        return prepare(self._spec, self._limits, encoded, args, options, costs, self.digest, fingerprint, same, features)

    def amended(self, encoded: bytes, job: StartedJob) -> Amendment | None:
        """What a job of these arguments needs by this version of its task, if that is more than it has. Costs stay as they were agreed.

        Versions that have amended it by turns get what each needs, so that they agree. Raises `NeedsDiffer`, or a `SubmissionRefused`.
        """
        args, costs = self._used.of(self._read(encoded))
        has = {need.bucket: need for need in decode_needs(job.limits)}
        own = [need for need in needs_of_call(self._spec, self._limits, args, costs, has) if need.cost > 0]
        if all(need.bucket in has for need in own):
            return None
        before = job.spec.split(" ")[1:]
        if before.count(self.digest) >= _MOST_A_VERSION:
            raise NeedsDiffer(
                f"it needs other buckets each time its arguments are read, {encode_needs(own)[0]} now and {job.limits} before:"
                " a validator of its arguments reads a clock, or chooses at random"
            )
        needs = own if set(before) <= {self.digest} else {**has, **{need.bucket: need for need in own}}.values()
        return Amendment(self.digest, *encoded_needs(self._spec, needs, args, job.priority))

    def buckets(self, encoded: bytes) -> dict[str, str]:
        """The bucket of each limit, by the limit's name. Raises a `SubmissionRefused`."""
        args, _ = self._used.of(self._read(encoded))
        return {limit.name: bucket_name(limit.name, limit.key, args) for limit in self._limits}

    def _read(self, encoded: bytes) -> Any:
        try:
            return from_json(encoded)
        except ValueError as error:
            raise InvalidArguments(f"task {self._spec.name!r}: arguments cannot be read as JSON: {error}") from error

    def _values(self, call: Any, template: str) -> Mapping[str, Any]:
        """The arguments that a template names, as keys of limits have them. Raises `InvalidArguments`."""
        return self._reader_of(template).of(call)[0]

    def _new_reader(self, template: str) -> UsedArguments:
        return UsedArguments(self._spec, (), by_code=self._by_code, uses=uses_of_template("unique", template))

    def _fingerprint(self, call: Any) -> str:
        try:
            return self._fingerprints.of(call)
        except ValueError as error:
            raise InvalidArguments(f"task {self._spec.name!r}: arguments cannot be compared with others: {error}") from error

    @cached_property
    def _fingerprints(self) -> Fingerprints:
        return Fingerprints(self._spec.name, self._spec.form)


def _digest(spec: TaskSpec, limits: Sequence[Limit]) -> str:
    """8 hexadecimal digits for all that the needs of a job come from."""
    source = [[(limit.name, limit.key) for limit in limits], spec.cost, spec.fair_by, spec.weights, spec.form]
    return blake2b(json.dumps(source, sort_keys=True).encode(), digest_size=4).hexdigest()
