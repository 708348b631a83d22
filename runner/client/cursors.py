"""Cursors: places in a walk over jobs, sealed for the caller who holds them. Whose jobs are at a place, and that there are any, is not theirs to see."""

import base64
import binascii
import hmac
from hashlib import blake2b, shake_256

from runner.errors import ConfigurationError

_MARK_BYTES = 16
_LONGEST = 16_000
"""Characters: the names of a line's buckets are in a place."""


def sealed(place: bytes, question: str, secret: bytes) -> str:
    """The place as text that tells nothing, for this question alone: a mark that only the secret makes, and the place under a stream from both.

    As no two places have one mark, no stream is used twice (SIV, RFC 5297, with other functions).
    """
    mark = _mark(place, question, secret)
    return base64.urlsafe_b64encode(mark + _covered(place, mark, secret)).decode().rstrip("=")


def opened(cursor: str, question: str, secret: bytes) -> bytes:
    """The place. Raises `ConfigurationError` for a text that is no cursor of this question."""
    given: object = cursor
    text = given if isinstance(given, str) and len(given) <= _LONGEST else ""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        data = b""
    mark, covered = data[:_MARK_BYTES], data[_MARK_BYTES:]
    place = _covered(covered, mark, secret)
    if not covered or not hmac.compare_digest(mark, _mark(place, question, secret)):
        raise ConfigurationError(
            f"cursor {cursor!r:.40} is none that this question was answered with: give the filter and the key as before, or begin without it"
        )
    return place


def _mark(place: bytes, question: str, secret: bytes) -> bytes:
    words = question.encode()
    return blake2b(
        len(words).to_bytes(8, "big") + words + place, key=secret[:64], digest_size=_MARK_BYTES, person=b"runner cursor"
    ).digest()


def _covered(data: bytes, mark: bytes, secret: bytes) -> bytes:
    stream = shake_256(secret + mark).digest(len(data)) if data else b""
    return bytes(one ^ other for one, other in zip(data, stream, strict=True))
