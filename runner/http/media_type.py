"""Whether a body comes as plain JSON, by its Content-Type and Content-Encoding. Takes linear time, whatever the caller wrote."""

from collections.abc import Iterable

from runner.http.problems import Problem

_LONGEST = 256
_UTF8 = (b"utf-8", b"utf8")
_PLAIN = (b"", b"identity")


def check_media_type(fields: Iterable[tuple[bytes, bytes]]) -> None:
    """Of the fields of a request, each that is there twice counts: a second one must not hide the first. Raises `Problem`."""
    given = None
    for name, value in fields:
        if name == b"content-type":
            given = value
            if value != b"application/json" and not _is_json(value):
                raise _not_json(value)
        elif name == b"content-encoding" and value.strip().lower() not in _PLAIN:
            shown = value.decode("latin-1")[:80]
            raise Problem("unsupported-media-type", f"Content-Encoding is {shown!r}: send the body uncompressed")
    if given is None:
        raise _not_json(b"")


def _is_json(value: bytes) -> bool:
    if len(value) > _LONGEST:
        return False
    kind, *parameters = value.lower().split(b";")
    named = (parameter.partition(b"=") for parameter in parameters)
    charsets = [charset.strip().strip(b'"') for name, _, charset in named if name.strip() == b"charset"]
    return kind.strip() == b"application/json" and all(charset in _UTF8 for charset in charsets)


def _not_json(value: bytes) -> Problem:
    return Problem("unsupported-media-type", f"Content-Type is {value.decode('latin-1')[:80]!r}: send application/json in UTF-8")
