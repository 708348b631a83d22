"""Masking: a Redis URL as it may be shown, in messages and by `repr`. What could be a password never is."""

from typing import Any
from urllib.parse import unquote

_MASK = "***"
_SHOWN_OPTIONS = frozenset(
    (
        "db",
        "username",
        "sentinel_username",
        "ssl_ca_certs",
        "ssl_ca_path",
        "ssl_cert_reqs",
        "ssl_certfile",
        "ssl_check_hostname",
        "ssl_keyfile",
    )
)


class SecretUrl(str):
    """A text whose `repr` shows no password, so that settings can be logged and appear in a traceback."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(shown_url(self))


def shown_url(url: str) -> str:
    """The URL without its passwords, whatever is wrong with it: a part is shown if it is known to be harmless."""
    scheme, separator, rest = url.partition("://")
    if not separator or "@" in scheme:
        scheme, separator, rest = "", "", str(url)
    credentials, at, rest = rest.rpartition("@")
    rest, number_sign, _ = rest.partition("#")
    place, question, query = rest.partition("?")
    if at:
        user, colon, _ = credentials.partition(":")
        place = f"{user + ':' if user and colon else ''}{_MASK}@{place}"
    options = "&".join(_shown_option(word) for word in query.split("&")) if question else ""
    return f"{scheme}{separator}{place}{question}{options}{number_sign}{_MASK if number_sign else ''}"


def has_password(url: str) -> bool:
    """Whether a URL seems to have a password."""
    return _MASK in shown_url(url)


def _shown_option(word: str) -> str:
    name, equals, value = word.partition("=")
    if unquote(name) in _SHOWN_OPTIONS or not word:
        return f"{name}{equals}{value}"
    return f"{name}{equals}{_MASK}" if equals else _MASK


def masked(name: str, value: Any) -> Any:
    """The value of a setting as an error may show it."""
    return shown_url(value) if name in ("redis_url", "shared_url") and isinstance(value, str) else value
