r"""Text: what Redis holds, as text that can be shown. Anybody can have written it, so no byte of it may raise.

Every name that this library writes is ASCII, and comes back as it was. Of others the bytes that are no text are shown as `\xff`: what is
asked by such a name is not found.
"""


def decoded(data: bytes) -> str:
    """The bytes as text."""
    return data.decode(errors="backslashreplace")
