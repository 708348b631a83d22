"""What the options of a task must be, before anything is made of them."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from runner.errors import ConfigurationError, GiveUp, RateLimited, Retry
from runner.jobs.backoff import Backoff
from runner.jobs.job import Priority
from runner.limits import Limit, checked_template
from runner.names import first_unknown, unknown_name, wrong_pool
from runner.ranges import checked, checked_whole

_SECONDS = ("max_wait", "timeout", "result_ttl", "failed_ttl")
_WHOLE = ("retries", "max_throttled", "max_jobs_per_child")
_MAY_BE_NONE = frozenset(
    {"max_wait", "timeout", "result_ttl", "failed_ttl", "max_throttled", "max_jobs_per_child", "fair_by", "retries", "deadline"}
)
_LONGEST_NAME = 200
_ON_EXPIRY = ("expire", "fail")
_KEPT = frozenset({"cancelled", "expired"})
_EXECUTORS = ("thread", "process")
_ERRORS = "a list of exception classes, like (ConnectionError, TimeoutError)"
_SPEAKERS = (Retry, GiveUp, RateLimited)


def check_options(task: str, options: Mapping[str, object], known: Collection[str]) -> None:
    """Raises `ConfigurationError` for an option that there is not, naming the one that is meant, and for a value of the wrong kind."""
    whose = f"task {task!r}"
    unknown = first_unknown(options, known)
    if unknown is not None:
        raise ConfigurationError(unknown_name(whose, "option", unknown, known))
    given = {name: value for name, value in options.items() if value is not None or name not in _MAY_BE_NONE}
    for name in _SECONDS:
        if name in given:
            checked(name, given[name], of=whose)
    if "deadline" in given:
        checked("deadline of a job", given["deadline"], of=whose)
    if "retries" in options and options["retries"] is None and "deadline" not in given:
        raise ConfigurationError(f"{whose}: retries is None, for retries without end, and needs a deadline: deadline=3600 (seconds)")
    for name in _WHOLE:
        if name in given:
            checked_whole(name, given[name], of=whose)
    if "max_jobs_per_child" in given and options.get("executor") != "process":
        raise ConfigurationError(
            f'{whose}: max_jobs_per_child is of tasks that run in child processes: give executor="process", or leave it out'
        )
    if "pool" in given and (wrong := wrong_pool(given["pool"])):
        raise ConfigurationError(f"{whose[:80]}: {wrong}")
    if "fair_by" in given:
        checked_template(f"{whose}: fair_by", given["fair_by"])
    for name, wanted, is_right in (
        ("name", f"a text of 1 to {_LONGEST_NAME} characters that can be printed", _is_name),
        ("priority", f"one of {', '.join(Priority.__members__)}", _is_text),
        ("on_expiry", f"one of {', '.join(_ON_EXPIRY)}", _ON_EXPIRY.__contains__),
        ("executor", f"one of {', '.join(_EXECUTORS)}", _EXECUTORS.__contains__),
        ("retry_on", _ERRORS, _are_errors),
        ("dont_retry_on", _ERRORS, _are_errors),
        ("backoff", "a Backoff", lambda value: isinstance(value, Backoff)),
        ("limits", "a list of limits, like [TokenBucket(...)]", _are_limits),
        ("cost", "tokens by limit name, like {'pay': 3}, each a whole number or the name of an argument", _is_cost),
        (
            "middleware",
            "a list of async functions, like [timing]",
            lambda value: isinstance(value, Sequence) and not isinstance(value, str),
        ),
        ("keep", "seconds by state, like {'cancelled': 3600, 'expired': 600}", _is_kept),
        ("weights", "whole numbers by the value of fair_by, like {'gold': 3}", lambda value: isinstance(value, Mapping)),
    ):
        if name in given and not is_right(given[name]):
            raise ConfigurationError(f"{whose[:80]}: {name} is {given[name]!r:.80}, and must be {wanted}")
    keep: Any = given.get("keep", {})
    for state, seconds in keep.items():
        checked("result_ttl", seconds, of=f"{whose}: keep of {state}")
    _check_errors(whose, given)


def _check_errors(whose: str, given: Mapping[str, Any]) -> None:
    """Raises `ConfigurationError` for types of errors that could never count."""
    kinds = [(name, kind) for name in ("retry_on", "dont_retry_on") for kind in given.get(name, ())]
    for name, kind in kinds:
        if issubclass(kind, _SPEAKERS):
            raise ConfigurationError(
                f"{whose}: {name} has {kind.__name__}, which says itself what becomes of its job; leave it out (max_throttled bounds RateLimited)"
            )
    for kind in given.get("retry_on", ()):
        for refused in given.get("dont_retry_on", ()):
            if issubclass(kind, refused):
                raise ConfigurationError(
                    f"{whose}: retry_on has {kind.__name__}, which is never retried, as dont_retry_on has {refused.__name__}; leave one out"
                )


def _is_name(value: object) -> bool:
    """Names are lines of the catalog and of logs, and keys of Redis: a control character would split them, half a pair cannot be encoded."""
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME and value.isprintable()


def _is_kept(value: object) -> bool:
    return isinstance(value, Mapping) and set(value) <= _KEPT


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _are_errors(value: object) -> bool:
    return isinstance(value, Sequence) and all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in value)


def _are_limits(value: object) -> bool:
    return isinstance(value, Sequence) and all(isinstance(limit, Limit) for limit in value)


def _is_cost(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(cost, str) or (isinstance(cost, int) and not isinstance(cost, bool) and cost >= 0) for cost in value.values()
    )
