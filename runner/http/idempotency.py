"""Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): a key of the caller's own that makes a submission safe to repeat.

The key is the id of the job, in other words. The store takes a job of an id once, in one step, whatever is lost: so there is no record
beside the job that could contradict it, and no time in which a repeat would have to be told to come back (409). A repeat that comes at
the same time is answered like the first.
"""

import re
from hashlib import blake2b
from typing import Any

from fastapi import Request

from runner.http.problems import Problem
from runner.http.validation_errors import shortened

LONGEST_KEY = 255

IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "pattern": '^"([ !#-\\[\\]-~]|\\\\["\\\\]){1,255}"$'},
    "example": '"8e03978e-40d5-43dd-bc93-6894a57f9324"',
    "description": f"a text of your own in quotation marks, of 1 to {LONGEST_KEY} characters:"
    " repeats with the same key, task and args have the same answer and store nothing, as long as the job is known. In place of id.",
}
"""What OpenAPI says of the header."""

REPLAYED: dict[str, Any] = {
    "Idempotent-Replayed": {"schema": {"type": "string"}, "description": "true: a request with this key had stored the job before"}
}

_STRING = re.compile(r'[ \t]*"((?:[ !#-\[\]-~]|\\["\\])*)"[ \t]*(?:;.*)?', re.DOTALL)
"""A string of RFC 8941, section 3.3.3; parameters of the item are ignored."""


def job_id_of(request: Request, own_id: str | None) -> str | None:
    """The id that the request's key stands for, None without a key. Raises `Problem` for one that is malformed, or not alone."""
    given = [value.decode("latin-1") for name, value in request.scope["headers"] if name == b"idempotency-key"]
    if not given:
        return None
    found = _STRING.fullmatch(given[0]) if len(given) == 1 else None
    key = "" if found is None else re.sub(r"\\(.)", r"\1", found[1])
    if not 1 <= len(key) <= LONGEST_KEY:
        shown = shortened(", ".join(given), 80)
        raise Problem(
            "invalid-idempotency-key",
            f'Idempotency-Key is {shown!r}: send one text of 1 to {LONGEST_KEY} characters of ASCII in quotation marks, like "order-17"',
        )
    if own_id is not None:
        raise Problem("invalid-idempotency-key", f"the body has the id {own_id[:40]!r}, which serves the same end: send it, or the key")
    return f"idempotency:{blake2b(key.encode(), digest_size=20).hexdigest()}"


def refuse_key(request: Request) -> None:
    """For a batch, whose jobs are stored one by one. Raises `Problem` if it has a key."""
    if "idempotency-key" in request.headers:
        raise Problem("invalid-idempotency-key", "a batch has no key: give each of its jobs an id, and the whole of it can be repeated")
