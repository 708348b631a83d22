"""Words of code as words of a page."""

import inspect

MADE = "<!-- made from the code by `make reference`: change it there -->\n"


def cell(text: str) -> str:
    """A text as the cell of a table, in one line."""
    return " ".join(text.split()).replace("|", "\\|")


def docstring(thing: object) -> str:
    """Its own docstring, indented as a page wants it."""
    return inspect.cleandoc(thing.__doc__ or "") if thing.__doc__ else ""


def table(headers: list[str], rows: list[list[str]]) -> str:
    """A table; the cells are as they are to be."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines).replace("|  |", "| |") + "\n"
