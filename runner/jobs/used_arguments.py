"""UsedArguments: the arguments that name a task's buckets, its costs and its shares, as scalars of one spelling, from the JSON of a call."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from runner.errors import InvalidArguments
from runner.jobs.form import Form, opaque_parts
from runner.jobs.task_spec import TaskSpec
from runner.limits import Limit, decimal_text, float_of, instant_text, template_fields, time_text

Scalar = Callable[[Any], Any]

_MOST_DIGITS = 30
"""A cost of more digits is beyond every limit, and stays as it is."""


class Use(NamedTuple):
    """One use of an argument: for what ("limit 'tenant'"), as its "key", "cost" or "share", and the limit whose cost it is."""

    what: str
    role: str
    argument: str
    limit: str = ""


class _Reading(NamedTuple):
    """What is read of a call: under which name it is found, and what counts if it was left out."""

    name: str
    sent_as: str
    scalar: Scalar
    default: Any


class UsedArguments:
    """Reads the used arguments of one task. `by_code`: the call was checked by the task's own code, so what its JSON says is right.

    uses: those to read; all that the task's limits and shares have, if None.
    """

    def __init__(self, spec: TaskSpec, limits: Sequence[Limit], *, by_code: bool, uses: Sequence[Use] | None = None) -> None:
        self._fields = fields_of(spec.form)
        self._others: Form = {"k": "any"} if spec.form["k"] in ("any", "object", "defs") else spec.form
        uses = list(uses_of(spec, limits)) if uses is None else uses
        self.any = bool(uses)
        unknown = [use for use in uses if self._scalar(self._form(use.argument)) is None]
        self.by_code_only = tuple(f"{use.what} takes its {use.role} from {use.argument!r} ({self._why(use)})" for use in unknown)
        self._refused = [] if by_code else unknown
        self._values = [self._reading(name, name, _SCALARS) for name in dict.fromkeys(use.argument for use in uses if use.role != "cost")]
        self._costs = [self._reading(use.limit, use.argument, _WHOLE) for use in uses if use.role == "cost"]

    def of(self, call: Mapping[str, Any], given: Mapping[str, int] | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
        """(values by argument, costs by limit) of a call; those that were left out count as their defaults.

        given: costs that the job was given, in the place of arguments. Raises `InvalidArguments` by name for one whose form only the code knows.
        """
        for use in self._refused:
            if not given or use.limit not in given:
                raise InvalidArguments(
                    f"{use.what} takes its {use.role} from {use.argument!r}, whose form only the code knows ({self._why(use)}):"
                    " submit it by code, or use a type that docs/howto/limits.md lists for keys"
                )
        values = {name: scalar(call[sent_as]) if sent_as in call else default for name, sent_as, scalar, default in self._values}
        costs = dict(given) if given else {}
        for limit, sent_as, scalar, default in self._costs:
            if limit not in costs:
                costs[limit] = scalar(call[sent_as]) if sent_as in call else default
        return values, costs

    def _reading(self, name: str, argument: str, scalars: Mapping[str, Scalar]) -> _Reading:
        field = self._fields.get(argument, {})
        scalar = self._scalar(self._form(argument), scalars) or _as_it_is
        return _Reading(name, field.get("s") or argument, scalar, _default(field, scalar))

    def _form(self, argument: str) -> Form:
        field = self._fields.get(argument)
        return self._others if field is None else field["f"]

    def _why(self, use: Use) -> str:
        form = self._form(use.argument)
        return str(form.get("why") or form["k"])

    def _scalar(self, form: Form, scalars: Mapping[str, Scalar] | None = None) -> Scalar | None:
        """How the scalar of a form is read from its JSON; None if only the code knows."""
        scalars = scalars or _SCALARS
        kind = form["k"]
        if kind == "root":
            return self._scalar(form["f"], scalars)
        if kind == "nullable":
            inner = self._scalar(form["f"], scalars)
            return None if inner is None else _or_none(inner)
        return scalars.get(kind)


def uses_of(spec: TaskSpec, limits: Sequence[Limit]) -> Iterator[Use]:
    """Each use of an argument by the task's keys, costs and shares."""
    for limit in limits:
        for argument in template_fields(limit.key or ""):
            yield Use(f"limit {limit.name!r}", "key", argument)
    for name, cost in spec.cost.items():
        if isinstance(cost, str):
            yield Use(f"limit {name!r}", "cost", cost, name)
    for argument in template_fields(spec.fair_by or ""):
        yield Use("fair_by", "share", argument)


def uses_of_template(what: str, template: str) -> list[Use]:
    """The same of one template."""
    return [Use(what, "key", argument) for argument in template_fields(template)]


def fields_of(form: Form) -> dict[str, Form]:
    """The arguments of a task, by name, from the form of all; none if that is unknown."""
    root = form["f"] if form["k"] == "defs" else form
    return {field["n"]: field for field in root.get("fields", ())}


def kind_of_argument(form: Form, argument: str) -> str:
    """The kind of an argument in a word or two, with what a text is folded by: two of one kind spell their values alike."""
    inner = fields_of(form).get(argument, {"f": {"k": "any"}})["f"]
    while inner["k"] in ("nullable", "root"):
        inner = inner["f"]
    return " ".join([inner["k"], *(name for name in ("strip_whitespace", "to_lower", "to_upper") if inner.get(name))])


def opaque_arguments(form: Form) -> list[tuple[str, str]]:
    """The arguments with a part whose form only the code knows, each with why."""
    first = {name: next(opaque_parts(field["f"]), None) for name, field in fields_of(form).items()}
    return [(name, str(part["why"])) for name, part in first.items() if part is not None]


def _default(field: Form, scalar: Scalar) -> Any:
    """The scalar of a default, which need not be of its argument's form: `tenant: UUID = None`."""
    default = field.get("d")
    try:
        return scalar(default)
    except (ArithmeticError, AttributeError, TypeError, ValueError):
        return default


def _or_none(scalar: Scalar) -> Scalar:
    return lambda value: None if value is None else scalar(value)


def _as_it_is(value: Any) -> Any:
    return value


def _undoubted(value: Any) -> Any:
    """A value without an annotation, if every door gives the handler the same one: not 7.0, which is another value than 7."""
    if value is None or isinstance(value, (str, int, list, dict)):
        return value
    raise InvalidArguments(
        f"{value!r} cannot name a bucket or be a cost, as its argument has no type: annotate it (float, Decimal), or send text or a whole number"
    )


def _whole(value: Any) -> Any:
    """A cost that is given as a float or as a Decimal's text: a whole number if it is one."""
    number = Decimal(value)
    is_whole = number.is_finite() and number.adjusted() < _MOST_DIGITS and number == number.to_integral_value()
    return int(number) if is_whole else value


_SCALARS: dict[str, Scalar] = {
    **dict.fromkeys(("str", "int", "bool", "none", "uuid", "date", "timedelta", "bytes", "enum", "literal"), _as_it_is),
    "datetime": instant_text,
    "time": time_text,
    "decimal": decimal_text,
    "float": float_of,
    "any": _undoubted,
}
_WHOLE: dict[str, Scalar] = {**_SCALARS, "decimal": _whole, "float": _whole}
"""As `_SCALARS`, for costs."""
