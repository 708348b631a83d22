"""The head of a request that would go on in another protocol, as one of a request that does not.

Clients that can speak HTTP/2 say so in their first request without TLS (Java's HttpClient, `curl --http2`), and go on in HTTP/1.1 with a server that
ignores it (RFC 9110, section 7.8). httptools takes their word: what follows such a head, its body too, is not read any more.
"""

from collections.abc import Sequence

_OF_THE_OTHER = frozenset({b"upgrade", b"http2-settings", b"connection"})


def plain_head(method: bytes, url: bytes, version: str, fields: Sequence[tuple[bytes, bytes]]) -> bytes:
    """What is to be read in its place, in HTTP/1.1 or 1.0. The connection ends after the answer if the client has asked for that."""
    words = b",".join(value for name, value in fields if name == b"connection").lower()
    kept = [(name, value) for name, value in fields if name not in _OF_THE_OTHER]
    kept += [(b"connection", word) for word in (b"close", b"keep-alive") if word in map(bytes.strip, words.split(b","))]
    lines = [b"%b %b HTTP/%b" % (method, url, version.encode()), *(b"%b: %b" % field for field in kept)]
    return b"\r\n".join(lines) + b"\r\n\r\n"
