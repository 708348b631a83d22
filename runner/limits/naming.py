"""Needs and the names of buckets: which buckets a job takes tokens of, and how scripts and keys spell them."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import quote, unquote

from runner.errors import ExceedsCapacity, InvalidArguments
from runner.limits.policy import Limit, template_fields

_LONGEST_PLAIN_KEY = 64
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


def need_of(limit: Limit, cost: int, key: Mapping[str, object]) -> Need:
    """What code that is no job takes of a limit. Raises `ExceedsCapacity`, or `InvalidArguments` if `key` does not fill its template."""
    if not 1 <= cost <= limit.capacity:
        raise ExceedsCapacity(f"cost {cost} of limit {limit.name!r} cannot be taken: its bucket holds 1 to {limit.capacity}")
    return Need(bucket_name(limit.name, limit.key, key), cost, limit.gives_back)


def bucket_name(limit: str, template: str | None, args: Mapping[str, object]) -> str:
    """The bucket of a job with these (JSON) arguments: the limit's name, and after a slash the filled-in key."""
    return limit if template is None else f"{limit}/{key_text(key_value(f'limit {limit!r}', template, args))}"


def key_value(what: str, template: str, args: Mapping[str, object]) -> str:
    """A template filled in from the arguments. Raises `InvalidArguments` for a value that cannot name a bucket."""
    values = {}
    for field in template_fields(template):
        value = args.get(field)
        if value is None or isinstance(value, (dict, list)):
            raise InvalidArguments(f"{what} takes its key from argument {field!r}, which is {value!r}: give a text or a number")
        values[field] = value
    return template.format_map(values)


def encode_needs(needs: Iterable[Need], share: str = "", weight: int = 1) -> tuple[str, str]:
    """(limits, line) as the scripts read them: "bucket=cost;bucket=cost!", and the buckets alone. "!": the tokens come back at the end.

    Jobs that need the same buckets share a line; each `share` (a tenant, say) has its own, which is served `weight` times as often.
    """
    ordered = sorted(needs)
    if not ordered:
        return "", ""
    line = ";".join(need.bucket for need in ordered)
    if share:
        line += f"@{key_text(share)}" + (f"*{weight}" if weight != 1 else "")
    return ";".join(f"{need.bucket}={need.cost}{'!' if need.given_back else ''}" for need in ordered), line


def decode_needs(limits: str) -> list[Need]:
    """The needs of a job from its `limits` text."""
    needs = []
    for part in limits.split(";") if limits else ():
        bucket, _, cost = part.partition("=")
        needs.append(Need(bucket, int(cost.rstrip("!")), cost.endswith("!")))
    return needs


def key_text(text: str) -> str:
    """A value as part of a bucket's or a line's name: short, and free of the characters that separate names."""
    if text.isalnum() and text.isascii() and len(text) <= _LONGEST_PLAIN_KEY:
        return text
    # "~" precedes a digest only: otherwise a caller could choose a key that looks like the digest of another key.
    quoted = quote(text, safe=":+,", errors="surrogatepass").replace("~", "%7E") or "%"
    if len(quoted) <= _LONGEST_PLAIN_KEY:
        return quoted
    return f"{quoted[:24]}~{_digest(text)}"


def key_text_of(key: str) -> str:
    """The same for a key that a person wrote, either as it is or as it appears in a bucket's name."""
    return key if key == "%" or _DIGESTED.fullmatch(key) else key_text(unquote(key))


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
