"""What texts and numbers of a request may be, as OpenAPI says it: options of `Field` and `Path`. A test compares them with what the client takes.

The client checks them, for code and HTTP alike, but for what is told here with its place: that a number of a job is negative, and that
a reason, or a place of a page that is a name, is no line of text.
"""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic.json_schema import SkipJsonSchema

_YEAR_S = 366 * 86_400
_MOST_TOKENS = 2**43 - 1
_LEAST_S = 1e-6
"""A time of 0 would mean "at once" or "for ever", which is said otherwise."""


Unset = SkipJsonSchema[None]
"""Of a parameter that was not sent. A URL or a header has no null to send, and OpenAPI says none."""


def _form(**keywords: Any) -> dict[str, Any]:
    return {"json_schema_extra": keywords}


WATCH = _form(pattern="^(overview|(limit|job):[^\\x00-\\x1f\\x7f]+)$")
JOB_ID = _form(pattern="^(?!take:)[A-Za-z0-9_.:-]{1,128}$")
KNOWN_ID = _form(pattern="^([A-Za-z0-9_.-]{1,64}/)?(?!take:)[A-Za-z0-9_.:-]{1,128}$")
"""Of a job that is there: of a tenant's with the tenant, for who sees those."""
EVENT_ID = _form(pattern="^[0-9]{1,19}(-[0-9]{1,19})?$")
LINE_ID = _form(pattern="^([0-9]{1,19}-[0-9]{1,19})?$")
_SHORT = "[A-Za-z0-9_.-]{1,64}"
_IN_A_LINE = "\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069"
"""What a line does not have: what ends it, or turns the writing."""
NAME = _form(pattern="^[^\\x00-\\x1f\\x7f]+$")
"""In a path: one that nobody has is answered 404, and control characters are refused in any path."""
SHORT_NAME = _form(pattern=f"^{_SHORT}$")
"""Of a limit, a pool and a schedule."""
MOST_LINE = 500
LINE = _form(pattern=f"^[^{_IN_A_LINE}]*$")
_LINE = re.compile(f"[^{_IN_A_LINE}]*")


def _line(text: str) -> str:
    if not _LINE.fullmatch(text):
        raise ValueError("Input should be one line of text, without control characters")
    return text


OneLine = Annotated[str, AfterValidator(_line), Field(**LINE)]
METADATA = _form(propertyNames={"pattern": f"^[^{_IN_A_LINE}]*$"})
NAME_ON_A_LINE = _form(pattern=f"^[^{_IN_A_LINE}]+$")
TASKS = _form(pattern=f"^([^*{_IN_A_LINE}]{{1,200}}[*]?|[*])$")
BUCKET = _form(pattern=f"^{_SHORT}(/[A-Za-z0-9_.:+,%~-]{{1,64}})?$")
BUCKET_SAID = _form(pattern=f"^{_SHORT}(/[^{_IN_A_LINE}]+)?$")
"""Of a bucket as people write it: its key may be as it is in the arguments of a job."""
KEY_SAID = _form(pattern=f"^{_SHORT}/[^{_IN_A_LINE}]+$")
ERROR = _form(pattern=f"^[^{_IN_A_LINE}]{{1,200}}$")
ID_PREFIX = _form(pattern="^[A-Za-z0-9_.:/-]{0,200}$")
SERIES = _form(pattern=f"^(q|t:[^{_IN_A_LINE}]{{1,200}}|l:{_SHORT})$")
REASONS = ("delay", "retry", "bounced", "slots", "no worker", "paused", "jobs", "line")
REASON = _form(enum=list(REASONS))
SPAN_S = _form(minimum=_LEAST_S, maximum=_YEAR_S)
POOL = SHORT_NAME
MOST_TAGS, MOST_METADATA = 8, 4_096
TAG = _form(pattern="^[!-~]{1,64}$")
DELAY_S = {"ge": 0} | _form(maximum=_YEAR_S)
MAX_WAIT_S = {"gt": 0} | _form(minimum=_LEAST_S, maximum=_YEAR_S)
DEADLINE_S = {"gt": 0} | _form(minimum=0.001, maximum=_YEAR_S)
COST = {"ge": 0} | _form(maximum=_MOST_TOKENS)
INTERVAL_S = _form(minimum=1, maximum=_YEAR_S)
GRACE_S = {"ge": 0} | _form(maximum=_YEAR_S)
JITTER_S = {"ge": 0} | _form(maximum=86_400)
PERIOD_S = _form(minimum=_LEAST_S, maximum=100 * 86_400)
TOKENS = _form(minimum=1, maximum=_MOST_TOKENS)
