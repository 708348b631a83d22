"""Key functions: which bucket counts a request. None, or an empty text, means: the bucket of the address it comes from."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from runner.errors import ConfigurationError

KeyFunction = Callable[[Mapping[str, Any]], str | None]
"""From an ASGI scope to the value of a limit's key. It must not block."""


def by_client_address(scope: Mapping[str, Any]) -> None:
    """Each client address (each /64 of IPv6) has its own bucket: the socket's peer, or what one of `trusted_proxies` names."""


def by_header(name: str) -> KeyFunction:
    """Each value of a header has its own bucket, and Redis holds the value as it is. For headers that a gateway sets, not the caller.

    A job's limit with the same key shares the bucket.
    """
    wanted = name.lower().encode("latin-1")
    return lambda scope: _header(scope, wanted)


def by_api_key(header: str = "X-API-Key", *, secret: bytes = b"") -> KeyFunction:
    """Each API key has its own bucket. Only a hash of the key is ever stored or logged; with a `secret` a keyed hash.

    Raises `ConfigurationError` for a secret of more than 64 bytes.
    """
    wanted = header.lower().encode("latin-1")
    if len(secret) > hashlib.blake2b.MAX_KEY_SIZE:
        raise ConfigurationError(f"by_api_key: the secret has {len(secret)} bytes; give at most {hashlib.blake2b.MAX_KEY_SIZE}")

    def hashed(scope: Mapping[str, Any]) -> str | None:
        value = _header(scope, wanted)
        return value and hashlib.blake2b(_normal(value).encode("latin-1"), digest_size=16, key=secret).hexdigest()

    return hashed


def by_user(identify: Callable[[Mapping[str, Any]], object]) -> KeyFunction:
    """Each user has their own bucket: `by_user(lambda scope: scope["state"].get("user_id"))`, as your authentication sets it."""

    def text(scope: Mapping[str, Any]) -> str | None:
        user = identify(scope)
        return None if user is None else str(user)

    return text


def _normal(credentials: str) -> str:
    """The credentials of `Authorization` in one spelling: "bearer  x" and "Bearer x" are the same key and share a bucket."""
    scheme, _, rest = credentials.partition(" ")
    return f"{scheme.lower()} {rest.strip()}" if rest else credentials


def _header(scope: Mapping[str, Any], wanted: bytes) -> str | None:
    """The first header of this name, which is the one that frameworks read."""
    return next((value.decode("latin-1").strip() for name, value in scope["headers"] if name == wanted), None) or None
