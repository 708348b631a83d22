"""What a caller is told: RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers-11), Retry-After, and a problem document.

Both fields are Lists of RFC 9651: a String, which is the limit's name, with Integer parameters. The names need no escapes, since
they consist of letters, digits, '.', '_' and '-'.
"""

import json

from runner.asgi.verdict import Verdict

_TYPES = "https://iana.org/assignments/http-problem-types#"

INVALID_PATH = json.dumps(
    {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "The path has control characters, such as %0A: leave them out.",
    }
).encode()
"""The body for a request that no rule is asked about."""

Headers = list[tuple[bytes, bytes]]


def rate_limit_fields(verdict: Verdict) -> Headers:
    """The two fields if a limit was asked, and for a refused request Retry-After."""
    headers: Headers = []
    if verdict.standings:
        policies = [f'"{s.allowance.limit}";q={s.allowance.quota};w={s.allowance.window_s}' for s in verdict.standings]
        limits = [f'"{s.allowance.limit}";r={s.left};t={s.effective_s}' for s in verdict.standings if s.left is not None]
        headers.append((b"ratelimit-policy", ", ".join(policies).encode()))
        if limits:
            headers.append((b"ratelimit", ", ".join(limits).encode()))
    if verdict.status is not None:
        headers.append((b"retry-after", str(verdict.retry_after_s).encode()))
    return headers


def problem_document(verdict: Verdict) -> bytes:
    """The body of a refusal (RFC 9457), with the types that section 5 of the draft registers. It names limits, never a caller's key."""
    again = f"Try again in {verdict.retry_after_s} s."
    if verdict.outcome == "exceeded":
        allowances = [standing.allowance for standing in verdict.standings if standing.allowance.limit in verdict.violated]
        told = ", ".join(f"{allowance.limit!r} allows {allowance.quota} in {allowance.window_s} s" for allowance in allowances)
        document = {"type": f"{_TYPES}quota-exceeded", "title": "Request cannot be satisfied as assigned quota has been exceeded"}
        detail = f"Limit {told}. {again}"
    else:
        document = {
            "type": f"{_TYPES}temporary-reduced-capacity",
            "title": "Request cannot be satisfied due to temporary server capacity constraints",
        }
        held = ", ".join(map(repr, verdict.violated))
        why = f"Limit {held} lets nothing through for now." if held else verdict.reason or "Limits cannot be checked right now."
        detail = f"{why} {again}"
    members = {**document, "status": verdict.status, "detail": detail, "violated-policies": list(verdict.violated)}
    return json.dumps(members, separators=(",", ":")).encode()
