"""Secret: what the holder of a key sends: `mr1_<id>_<secret>_<checksum>`. Its digest is all that is ever stored."""

import hashlib
import hmac
import re
import secrets
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import NamedTuple

LONGEST_BYTES = 128
"""No credentials are longer, whatever scheme they name."""
_PREFIX = "mr1"
"""By which scanners for leaked secrets know one; the number is that of the form."""
_FORM = re.compile(rf"{_PREFIX}_([a-z2-7]{{8}})_([A-Za-z0-9_-]{{43}})_([A-Za-z0-9_-]{{6}})", re.ASCII)
_ID_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_ID_LENGTH = 8
_BYTES = 32


class Secret(NamedTuple):
    """The id of a key, by which it is looked up, and 32 random bytes."""

    id: str
    value: bytes

    @property
    def text(self) -> str:
        """As it is sent. The checksum lets a mistyped one be refused without asking Redis."""
        head = f"{_PREFIX}_{self.id}_{_base64(self.value)}"
        return f"{head}_{_checksum(head)}"

    def __repr__(self) -> str:
        return f"Secret({self.id!r}, ...)"


def new_key_id() -> str:
    """A random id of 40 bits. It is no secret: lists and the audit show it."""
    return "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))


def new_secret(key_id: str) -> Secret:
    """Another secret of a key."""
    return Secret(key_id, secrets.token_bytes(_BYTES))


def parse_secret(text: str) -> Secret | None:
    """The secret in this text; None if it has not the form of one, or was mistyped."""
    found = _FORM.fullmatch(text) if len(text) <= LONGEST_BYTES else None
    if found is None or _checksum(text[: found.end(2)]) != found[3]:
        return None
    return Secret(found[1], urlsafe_b64decode(found[2] + "="))


def digest_of(secret: Secret, pepper: str | None) -> str:
    """What Redis keeps of a secret. No slow hash is needed: nobody guesses 256 random bits.

    pepper: a text that Redis does not have; with it, whoever can write to Redis still cannot make a key.
    """
    if pepper is None:
        return hashlib.sha256(secret.value).hexdigest()
    return hmac.new(pepper.encode(), secret.value, hashlib.sha256).hexdigest()


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def _checksum(head: str) -> str:
    return _base64(zlib.crc32(head.encode()).to_bytes(4, "big"))
