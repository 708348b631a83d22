"""lean_script: a script without the spaces between its words and signs. What is in quotes, in templates and in regular expressions stays as it is."""

import re
from collections.abc import Iterator

_QUOTED = re.compile(r"'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"")
_EXPRESSION = re.compile(r"/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n\[])+/[a-z]*")
_TEMPLATE = re.compile(r"(?:\\.|(?!\$\{)[^`\\])*(?:`|\$\{)", re.DOTALL)
_MAY_FOLLOW = frozenset("(=,:[!&|?{};>")
"""After one of these signs a slash begins a regular expression; else it divides."""
_AROUND = re.compile(r" ?([=<>!&|?:,;(){}\[\]*%]) ?")
_BREAK = re.compile(r"(?<=[;{,(\[:?&|=])\n|\n(?=[})\];,.:?&|])")


def lean_script(text: str) -> str:
    """The same script. It has no comments any more, see `bundle`. Raises ValueError if a quote or a template has no end."""
    return "".join(_BREAK.sub("", _AROUND.sub(r"\1", part)) if is_code else part for is_code, part in _parts(text))


def _parts(text: str) -> Iterator[tuple[bool, str]]:
    """The text in parts, each with whether it is code."""
    at = begins = 0
    braces: list[bool] = []  # of each that is open, whether it is in a template
    while at < len(text):
        sign, end = text[at], at + 1
        if sign in "'\"":
            end = _end(_QUOTED.match(text, at), text, at)
        elif sign == "/" and text[begins:at].rstrip()[-1:] in _MAY_FOLLOW:
            end = _end(_EXPRESSION.match(text, at), text, at)
        elif sign == "{":
            braces.append(False)
        if sign == "`" or (sign == "}" and braces and braces.pop()):
            end = _end(_TEMPLATE.match(text, at + 1), text, at)
            if text[end - 1] == "{":
                braces.append(True)
        if end > at + 1 or sign == "`":
            yield True, text[begins:at]
            yield False, text[at:end]
            begins = end
        at = end
    if any(braces):
        raise ValueError("a template has no end")
    yield True, text[begins:]


def _end(found: re.Match[str] | None, text: str, at: int) -> int:
    if found is None:
        raise ValueError(f"what begins here has no end: {text[at : at + 80]!r}")
    return found.end()
