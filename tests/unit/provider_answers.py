"""What providers answer when they say wait: every form that they use, what says nothing of a time, and what nobody can read."""

import email.message
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from email.utils import format_datetime
from fractions import Fraction
from typing import Any
from unittest.mock import Mock

import httpx

from runner.errors import RateLimited
from runner.limits.spoken_time import LONGEST_S

NOW_S = 1_800_000_000.0
NOW = datetime.fromtimestamp(NOW_S, UTC)


class ApiError(Exception):
    """An error of openai or anthropic: it holds the response, and the body that was read of it."""

    def __init__(self, response: httpx.Response | None = None, body: object = None) -> None:
        super().__init__("429")
        if response is not None:
            self.response = response
        self.body = body


class BotoError(Exception):
    """`botocore.exceptions.ClientError`: its response is a dict."""

    def __init__(self, **response: Any) -> None:
        super().__init__("ThrottlingException")
        self.response = {"Error": {"Code": "ThrottlingException"}, **response}


class TelegramError(Exception):
    def __init__(self, retry_after: object) -> None:
        self.retry_after = retry_after


class UrllibError(Exception):
    def __init__(self, **fields: str) -> None:
        self.headers = email.message.Message()
        for name, value in fields.items():
            self.headers[name.replace("_", "-")] = value


class Plain:
    """A response of a client that we do not know."""

    def __init__(self, headers: object) -> None:
        self.headers = headers


class Hostile:
    @property
    def headers(self) -> object:
        raise ZeroDivisionError


class Unprintable:
    def __repr__(self) -> str:
        raise ZeroDivisionError


def answer(**fields: str) -> httpx.Response:
    return httpx.Response(429, headers={name.replace("_", "-"): value for name, value in fields.items()})


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def in_context(error: Exception, context: Exception, *, suppressed: bool = False) -> Exception:
    error.__context__, error.__suppress_context__ = context, suppressed
    return error


def http_date(seconds: float, form: str = "%a, %d %b %Y %H:%M:%S GMT") -> str:
    return (NOW + timedelta(seconds=seconds)).strftime(form)


OPENAI = {"x-ratelimit-remaining-requests": "9", "x-ratelimit-reset-requests": "20ms", "x-ratelimit-reset-tokens": "6m0s"}
ANTHROPIC = {
    "anthropic-ratelimit-input-tokens-remaining": "0",
    "anthropic-ratelimit-input-tokens-reset": (NOW + timedelta(seconds=10)).isoformat().replace("+00:00", "Z"),
    "anthropic-ratelimit-output-tokens-remaining": "0",
    "anthropic-ratelimit-output-tokens-reset": (NOW + timedelta(seconds=40)).isoformat(),
}
GITHUB = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW_S) + 600)}

READABLE: list[tuple[object, float]] = [
    # numbers
    (3, 3),
    (0.25, 0.25),
    (Decimal("1.5"), 1.5),
    (Fraction(5, 2), 2.5),
    (0, 0),
    (-1, 0),
    (float("inf"), LONGEST_S),
    (float("-inf"), 0),
    (10**400, LONGEST_S),
    (-(10**400), 0),
    (Decimal("1E+400"), LONGEST_S),
    (NOW_S + 7, 7),
    ((NOW_S + 7) * 1e3, 7),
    ((NOW_S + 7) * 1e6, 7),
    # spans and instants
    (timedelta(minutes=2), 120),
    (timedelta(seconds=-1), 0),
    (timedelta.max, LONGEST_S),
    (NOW + timedelta(seconds=30), 30),
    ((NOW + timedelta(seconds=30)).astimezone(timezone(timedelta(hours=5, minutes=30))), 30),
    (NOW - timedelta(seconds=30), 0),
    (datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))), LONGEST_S),
    (datetime.min.replace(tzinfo=timezone(timedelta(hours=12))), 0),
    (NOW.date() + timedelta(days=2), 144_000),
    (date.max, LONGEST_S),
    # texts
    ("120", 120),
    (" 1.5 ", 1.5),
    ('"120"', 120),
    (b"15", 15),
    ("-3", 0),
    ("1e3", 1000),
    ("1e999", LONGEST_S),
    ("120, 120", 120),
    ("5, 8, soon", 8),
    ("30 seconds", 30),
    ("1 minute, 30 seconds", 90),
    ("1 hour and 1 second", 3_601),
    ("120s, 90s", 120),
    ("6m0s", 360),
    ("1h2m3.5s", 3_723.5),
    ("20ms", 0.02),
    ("500\u00b5s", 0.0005),
    ("2d", 172_800),
    ("PT1M30S", 90),
    ("00:01:30", 90),
    ("1:30", 90),
    (http_date(90), 90),
    (http_date(-90), 0),
    (format_datetime(NOW + timedelta(seconds=90)), 90),
    (http_date(60, "%A, %d-%b-%y %H:%M:%S GMT"), 60),
    (http_date(60, "%a %b %d %H:%M:%S %Y"), 60),
    (http_date(60, "%a, %d %b %Y %H:%M:%S"), 60),
    (http_date(3_600 - 5 * 3_600, "%a, %d %b %Y %H:%M:%S EST"), 3_600),
    (f"{http_date(60)}, {http_date(120)}", 120),
    ("Sunday, 06-Nov-94 08:49:37 GMT", 0),
    ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_S),
    ("Fri, 31 Dec 99999999999 23:59:59 GMT", LONGEST_S),
    ("Sat, 31 Dec 2016 23:59:60 GMT", 0),
    ((NOW + timedelta(seconds=17)).isoformat(), 17),
    ((NOW + timedelta(seconds=17)).strftime("%Y-%m-%dT%H:%M:%S.123456789Z"), 17.123456),
    ((NOW + timedelta(seconds=17)).strftime("%Y-%m-%d %H:%M:%S UTC"), 17),
    ("99999-01-01T00:00:00Z", LONGEST_S),
    ("9999-12-31T23:59:59-23:00", LONGEST_S),
    # headers that say it outright
    ({"Retry-After": "120"}, 120),
    ({"RETRY_AFTER": "7"}, 7),
    ({b"retry-after": b"7"}, 7),
    ([(b"retry-after", b"8")], 8),
    ([("retry-after", "5"), ("Retry-After", "9")], 9),
    ({"retry-after": ["5", "9"]}, 9),
    ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
    ({"retry-after-ms": "x", "retry-after": "5"}, 5),
    ({"x-ms-retry-after-ms": "250"}, 0.25),
    ({"x-retry-after": "3"}, 3),
    ({"x-amz-retry-after": "4000"}, 4),
    ({"retryAfterSeconds": 6}, 6),
    ({"retry-after": "5", "x-ratelimit-reset": "17"}, 5),
    ({"retry-after": "60", "x-ratelimit-remaining": "4000", "x-ratelimit-reset": str(int(NOW_S) + 3_000)}, 60),
    # counters
    ({"RateLimit": '"default";r=0;t=30'}, 30),
    ({"RateLimit": '"default";t=30'}, 30),
    ({"RateLimit": '"burst";r=0;t=5, "day";r=0;t=300'}, 300),
    ({"RateLimit": '"burst";r=0;t=5, "day";r=40;t=300'}, 5),
    ({"RateLimit": '"a";r=5;t=9, "b";r=0;t=4'}, 4),
    ({"RateLimit": '"a,b;t=1";r=0;t=7'}, 7),
    ({"RateLimit": "limit=100, remaining=0, reset=50"}, 50),
    ({"RateLimit-Limit": "10", "RateLimit-Remaining": "0", "RateLimit-Reset": "12"}, 12),
    ({"x-ratelimit-reset": "17"}, 17),
    ({"x-ratelimit-reset": str(int(NOW_S + 17) * 1000)}, 17),
    ({"x-ratelimit-reset": (NOW + timedelta(seconds=60)).strftime("%Y-%m-%dT%H:%MZ")}, 60),
    ({"x-ratelimit-reset-ms": "1500"}, 1.5),
    ({"x-rate-limit-remaining": "0", "x-rate-limit-reset": str(int(NOW_S) + 900)}, 900),
    ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(NOW_S + 64.57), "X-RateLimit-Reset-After": "64.57"}, 64.57),
    (OPENAI | {"x-ratelimit-remaining-tokens": "0"}, 360),
    (OPENAI | {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "8m"}, 480),
    (ANTHROPIC, 40),
    (GITHUB, 600),
    # whatever holds headers, or a body
    (answer(retry_after="33"), 33),
    (Plain([(b"retry-after", b"8")]), 8),
    (Plain(GITHUB), 600),
    (UrllibError(retry_after="21"), 21),
    (UrllibError(retry_after="21").headers, 21),
    ({"message": "You are being rate limited.", "retry_after": 64.57, "global": False}, 64.57),
    ({"ok": False, "error_code": 429, "parameters": {"retry_after": 35}}, 35),
    ({"error": {"code": 429, "details": [{"@type": "google.rpc.RetryInfo", "retryDelay": "34s"}]}}, 34),
    (httpx.Response(429, json={"parameters": {"retry_after": 35}}), 35),
    # errors
    (TelegramError(21), 21),
    (TelegramError(timedelta(seconds=21)), 21),
    (RateLimited("x", retry_after="12"), 12),
    (ApiError(answer(retry_after="9")), 9),
    (ApiError(answer(), {"error": {"retry_after": 11}}), 11),
    (BotoError(ResponseMetadata={"HTTPStatusCode": 429, "HTTPHeaders": {"retry-after": "13"}}), 13),
    (BotoError(retryAfterSeconds=14), 14),
    (caused(RuntimeError("x"), ApiError(answer(retry_after="9"))), 9),
    (in_context(RuntimeError("x"), ApiError(answer(retry_after="9"))), 9),
    (ExceptionGroup("x", [ApiError(answer(retry_after="2")), ExceptionGroup("y", [ApiError(answer(retry_after="5"))])]), 5),
]
"""An answer, and the seconds that it says at `NOW_S`."""

SILENT_HEADERS: list[dict[str, str]] = [
    {},
    {"content-type": "text/html"},
    {"Retry-After": ""},
    OPENAI | {"x-ratelimit-remaining-tokens": "7"},
    {"RateLimit": '"a";r=3;t=30'},
]
"""Headers that say nothing of a time."""

SILENT: list[object] = [
    None,
    "",
    "  ",
    b"",
    [],
    {1: 2},
    {"retry-after": None},
    ValueError("x"),
    BotoError(),
    ApiError(),
    in_context(RuntimeError("x"), ApiError(answer(retry_after="9")), suppressed=True),
    Mock(),
    httpx.Response(429, stream=httpx.ByteStream(b'{"retry_after": 5}')),
]
"""Whatever else says nothing of a time."""

UNREADABLE: list[tuple[object, str]] = [
    ("soon", "'soon'"),
    ("nan", "'nan'"),
    ("inf", "'inf'"),
    ("\u0661\u0662", "'\u0661\u0662'"),
    ("Wed, 99 Foo 2026", "'Wed, 99 Foo 2026'"),
    ("Wed, 31 Feb 2027 00:00:00 GMT", "'Wed, 31 Feb 2027 00:00:00 GMT'"),
    (f"Wed, 06 Jan 2027 00:00:00 +{'9' * 20}", f"'Wed, 06 Jan 2027 00:00:00 +{'9' * 20}'"),
    ("9" * 1_000_000, f"'{'9' * 80}'"),
    ("12x", "'12x'"),
    ("\x00", r"'\x00'"),
    (b"\xff", r"b'\xff'"),
    (float("nan"), "nan"),
    (Decimal("NaN"), "Decimal('NaN')"),
    (True, "True"),
    (datetime(2027, 1, 1), "2027-01-01T00:00:00, which has no time zone"),  # noqa: DTZ001 - that is what is tested
    ([1, 2], "[1, 2]"),
    ({"retry-after": "soon"}, "'soon'"),
    ({"retry-after": object}, "<class 'object'>"),
    (answer(retry_after="soon", x_ratelimit_reset_tokens="later"), "'soon'"),
    ({"retry_after": "soon"}, "'soon'"),
    (TelegramError("soon"), "'soon'"),
]
"""An answer that cannot be read, and how it is shown."""

HOSTILE: list[object] = [Hostile(), Unprintable(), object(), Plain(Hostile()), Decimal("sNaN"), type]
"""Objects of somebody else, most of which raise when they are looked at."""
