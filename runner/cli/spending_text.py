"""What was spent of a budget, in lines."""

from collections.abc import Iterator

from runner.cli.output import columns
from runner.jobs import Spending, SpentBy

_NAMELESS = {SpentBy.task: "(without a job)", SpentBy.key: "(other keys)"}


def spending_lines(spending: Spending) -> Iterator[str]:
    """A heading, a line for each row, and the sum."""
    unit = spending.unit
    yield f"{spending.limit}: {unit.words(spending.total)} from {spending.first} to {spending.last}"
    if not spending.rows:
        return
    rows = [
        (row.name or _NAMELESS.get(spending.by, ""), unit.figure(row.tokens), _share(row.tokens, spending.total)) for row in spending.rows
    ]
    width = max(len(figure) for _, figure, _ in rows)
    head = (spending.by.value.upper(), f"{unit.name:>{width}}", "SHARE")
    yield from columns([head, *((name, f"{figure:>{width}}", share) for name, figure, share in rows)])


def _share(tokens: int, total: int) -> str:
    return f"{tokens / total:.1%}" if total > 0 and tokens >= 0 else ""
