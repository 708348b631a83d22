"""Needs and the names of buckets: which buckets a job takes tokens of, and how scripts and keys spell them."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import quote, unquote

from runner.errors import ExceedsCapacity, InvalidArguments, InvalidOption
from runner.foreign import shown
from runner.limits.policy import Limit, template_fields
from runner.limits.scalars import of_value
from runner.names import DEFAULT_POOL, SHORT_NAME, first_unknown, fits, unknown_name

NORMAL = 1
"""The priority of a job that names none, as the scripts number it."""

_LONGEST_PLAIN_KEY = 64
_SEPARATOR = ":"
"""Between the values of a key that is made of several, whatever its template has between them."""
_PLAIN_KEY = re.compile(rf"[A-Za-z0-9_.:+,-]{{1,{_LONGEST_PLAIN_KEY}}}")
_BUCKET_NAME = re.compile(rf"{SHORT_NAME.pattern}(/[A-Za-z0-9_.:+,%~-]{{1,{_LONGEST_PLAIN_KEY}}})?")
"""A limit's name, and of one with a key what `key_text` makes of a value."""
_DIGESTED = re.compile(r".{24}~[0-9a-f]{32}")


class Need(NamedTuple):
    """What one job takes of one bucket at its start; with `given_back` the tokens come back at its end."""

    bucket: str
    cost: int
    given_back: bool = False

    @property
    def limit(self) -> str:
        """The name of the bucket's limit."""
        return limit_name(self.bucket)


def limit_name(bucket: str) -> str:
    """The name of the limit that a bucket belongs to."""
    return bucket.partition("/")[0]


def is_bucket_name(text: object) -> bool:
    """Whether a bucket can have this name, as answers and the scripts spell it."""
    return fits(_BUCKET_NAME, text)


def need_of(limit: Limit, cost: int, key: Mapping[str, object]) -> Need:
    """What code that is no job takes of a limit.

    Raises `InvalidOption`, `ExceedsCapacity`, or `InvalidArguments` if `key` does not fill its template.
    """
    if isinstance(cost, bool) or not isinstance(cost, int):
        raise InvalidOption(f"cost of limit {limit.name!r} is {cost!r:.80}: give a whole number of tokens, 1 or more")
    if not isinstance(key, Mapping):
        raise InvalidOption(
            f"key of limit {limit.name!r} is {key!r:.80}: give the values of its template by name, like {{'tenant_id': 't7'}}"
        )
    fields = template_fields(limit.key or "")
    if (extra := first_unknown(key, fields)) is not None:
        raise InvalidOption(unknown_name(f"the key of limit {limit.name!r}", "name", extra, fields))
    if not 1 <= cost <= limit.capacity:
        raise ExceedsCapacity(f"cost {cost} of limit {limit.name!r} cannot be taken: its bucket holds 1 to {limit.capacity}")
    return Need(bucket_name(limit.name, limit.key, key), cost, limit.gives_back)


def bucket_name(limit: str, template: str | None, args: Mapping[str, object]) -> str:
    """The bucket of a job with these arguments: the limit's name, and after a slash the filled-in key."""
    return limit if template is None else f"{limit}/{key_of(f'limit {limit!r}', template, args)}"


def key_of(what: str, template: str, args: Mapping[str, object]) -> str:
    """The key that a template makes of arguments, as part of a name; different values make different keys.

    Raises `InvalidArguments` for a value that cannot name a bucket.
    """
    values = key_values(what, template, args)
    if len(values) == 1:
        return key_text(template.format_map(values))
    quoted = _SEPARATOR.join(_quoted_whole(str(values[field])) for field in template_fields(template))
    return quoted if len(quoted) <= _LONGEST_PLAIN_KEY else f"{quoted[:24]}~{_digest(quoted)}"


def key_values(what: str, template: str, args: Mapping[str, object]) -> dict[str, str | int | float]:
    """The values that a template is filled in with, each in its one spelling. Raises `InvalidArguments`."""
    values: dict[str, str | int | float] = {}
    for field in template_fields(template):
        value = args.get(field)
        scalar = of_value(value)
        if scalar is None:
            raise InvalidArguments(f"{what} takes its key from argument {field!r}, which is {shown(value, 80)}: give a text or a number")
        values[field] = scalar
    return values


def encode_needs(needs: Iterable[Need], share: str = "", weight: int = 1, priority: int = NORMAL) -> tuple[str, str]:
    """(limits, line) as the scripts read them: "bucket=cost;bucket=cost!", and "priority|bucket;bucket". "!": the tokens come back at the end.

    Jobs of one priority (0 is the highest) that need the same buckets share a line; each `share` (a tenant, say, as `key_of` writes it)
    has its own, which is served `weight` times as often.
    """
    ordered = sorted(needs)
    if not ordered:
        return "", ""
    line = f"{priority}|" + ";".join(need.bucket for need in ordered)
    if share:
        line += f"@{share}" + (f"*{weight}" if weight != 1 else "")
    return ";".join(f"{need.bucket}={need.cost}{'!' if need.given_back else ''}" for need in ordered), line


def in_pool(line: str, pool: str) -> str:
    """The line of a job of another pool than the default one. That of a job without limits, which has no line, is the pool alone."""
    return f"{line}{'' if '@' in line or not line else '@'}#{pool}"


def pool_of(line: str) -> str:
    """The pool of a job with this line."""
    return line.rpartition("#")[2] if "#" in line else DEFAULT_POOL


def decode_needs(limits: str) -> list[Need]:
    """The needs of a job from its `limits` text."""
    needs = []
    for part in limits.split(";") if limits else ():
        bucket, _, cost = part.partition("=")
        needs.append(Need(bucket, int(cost.rstrip("!")), cost.endswith("!")))
    return needs


def key_text(text: str) -> str:
    """A value as part of a bucket's or a line's name: short, and free of the characters that separate names."""
    if _PLAIN_KEY.fullmatch(text):
        return text
    # "~" precedes a digest only: otherwise a caller could choose a key that looks like the digest of another key.
    quoted = quote(text, safe=":+,", errors="surrogatepass").replace("~", "%7E") or "%"
    if len(quoted) <= _LONGEST_PLAIN_KEY:
        return quoted
    return f"{quoted[:24]}~{_digest(text)}"


def key_text_of(key: str, template: str) -> str:
    """The same for a key that a person wrote, either as it is or as it appears in a bucket's name: of several values, "eu:t7"."""
    if key == "%" or _DIGESTED.fullmatch(key):
        return key
    if len(set(template_fields(template))) == 1:
        return key_text(unquote(key))
    quoted = _SEPARATOR.join(_quoted_whole(unquote(part)) for part in key.split(_SEPARATOR))
    return quoted if len(quoted) <= _LONGEST_PLAIN_KEY else f"{quoted[:24]}~{_digest(quoted)}"


def _quoted_whole(text: str) -> str:
    """One of several values: whatever it contains, it has no separator."""
    return quote(text, safe="", errors="surrogatepass").replace("~", "%7E")


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
