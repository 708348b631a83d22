"""The picture and the tables of a course on a terminal."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from runner.cli.simulate.chart import Chart, chart_of, headline, in_words, limit_words, longest_waiting, tightest, within_words
from runner.cli.simulate.shapes import printable
from runner.limits import Limit, QueuePace
from runner.simulation import Drain, TenantReport

_ROWS = 8
_BARS = 60
_MOST_TENANTS = 20
_LONGEST_NAME = 24
_LEAST_COLUMNS, _MOST_COLUMNS = 8, 32
_EIGHTHS = " ▁▂▃▄▅▆▇█"


def show(console: Console, drain: Drain) -> None:
    console.print(Text(headline(drain), style="bold"))
    console.print()
    if drain.starts:
        _show_starts(console, chart_of(drain, _BARS))
        console.print()
    console.print(_tenants(drain, console.width))
    console.print()
    console.print(_limits(drain))
    if name := tightest(drain):
        console.print()
        console.print(Text.assemble("Used up, so this holds the jobs back: ", (name, "bold"), "."))


def _show_starts(console: Console, chart: Chart) -> None:
    """Bars from the bottom up, a dashed line where the bound is."""
    each = max(1, min(4, _BARS // len(chart.bars)))
    width = each * len(chart.bars)
    heights = [sum(bar.values()) * _ROWS * 8 // chart.top or int(bool(bar)) for bar in chart.bars]
    bound_row = None if chart.bound is None or chart.bound > chart.top else (chart.bound * _ROWS - 1) // chart.top
    margin = max(len(f"{chart.top:,}"), 3)
    console.print(Text(f"Starts in each {in_words(chart.width_us)}"))
    for row in reversed(range(_ROWS)):
        is_bound = row == bound_row
        line = Text(f"{_axis_label(row, chart, is_bound=is_bound):>{margin}} ┤")
        for height in heights:
            filled = min(max(height - row * 8, 0), 8)
            if filled == 0 and is_bound:
                line.append("╌" * each, style="red")
            else:
                line.append(_EIGHTHS[filled] * each, style="cyan")
        if is_bound:
            line.append(f"╌ at most {chart.bound:,}", style="red")
        console.print(line, no_wrap=True, overflow="crop", crop=False)
    console.print(f"{'0':>{margin}} ┼{'─' * width}")
    first, last = "0", in_words(len(chart.bars) * chart.width_us)
    console.print(f"{'':>{margin}}  {first}{last:>{max(width - len(first), len(last) + 1)}}")
    console.print(Text(_bound_words(chart), style="red" if bound_row is not None else "dim"))


def _axis_label(row: int, chart: Chart, *, is_bound: bool) -> str:
    if row == _ROWS - 1:
        return f"{chart.top:,}"
    return f"{chart.bound:,}" if is_bound else ""


def _bound_words(chart: Chart) -> str:
    if chart.bound is None:
        return "No limit bounds how many start in a time."
    far = "" if chart.bound <= chart.top else ", far above the picture"
    return f"{chart.bound_by} allows at most {chart.bound:,} in any {in_words(chart.width_us)}{far}."


def _table(*columns: tuple[str, bool]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", highlight=False)
    for name, is_number in columns:
        table.add_column(name, justify="right" if is_number else "left", no_wrap=bool(name))
    return table


def _tenants(drain: Drain, width: int) -> Table:
    """One row for each tenant; bars in the rest of the width show the waits."""
    shown = longest_waiting(drain.tenants, _MOST_TENANTS)
    headers = ("tenant", "jobs", "first start", "last start", "wait p50", "p95", "max")
    rows = [_tenant_row(report) for report in shown]
    used = sum(max(map(len, column)) + 2 for column in zip(headers, *rows, strict=True))
    columns = min(width - used, _MOST_COLUMNS)
    table = _table((headers[0], False), *((name, True) for name in headers[1:]), ("", False))
    scale_us = max((report.wait_max_us or 0 for report in shown), default=0)
    for report, row in zip(shown, rows, strict=True):
        table.add_row(*map(Text, row), _wait_bar(report, scale_us, columns))
    if len(shown) < len(drain.tenants):
        table.caption = Text(f"and {len(drain.tenants) - len(shown):,} more, which waited less", style="dim")
        table.caption_justify = "left"
    return table


def _tenant_row(report: TenantReport) -> list[str]:
    times = (report.first_start_us, report.last_start_us, report.wait_p50_us, report.wait_p95_us, report.wait_max_us)
    name = printable(report.tenant)
    name = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
    return [
        name,
        f"{report.jobs:,}" + (f" ({report.failed:,} failed)" if report.failed else ""),
        *(in_words(time, brief=True) for time in times),
    ]


def _wait_bar(report: TenantReport, scale_us: int, columns: int) -> Text:
    """Thick up to the median, thinner up to 95 in 100, a line up to the longest wait."""
    if columns < _LEAST_COLUMNS or not scale_us or report.wait_max_us is None:
        return Text("")
    ends = [(wait or 0) * columns // scale_us for wait in (report.wait_p50_us, report.wait_p95_us, report.wait_max_us)]
    return Text.assemble(
        ("█" * ends[0], "cyan"), ("▒" * (ends[1] - ends[0]), "cyan"), ("─" * (ends[2] - ends[1]), "cyan"), "" if ends[2] else "▏"
    )


def _limits(drain: Drain) -> Table:
    table = _table(("limit", False), ("", False), ("most taken", True), ("of", True), ("", False), ("used", True))
    for report in drain.limits:
        table.add_row(
            Text(report.limit.name),
            Text(limit_words(report.limit)),
            _figure(report.limit, report.worst),
            _figure(report.limit, report.bound),
            within_words(report),
            f"{report.utilisation:.0%}",
        )
    table.add_row("slots", "", f"{drain.most_running:,}", f"{drain.slots:,}", "at once", f"{drain.slot_utilisation:.0%}")
    return table


def share_words(share: QueuePace | None) -> str:
    """What this queue was taken to get of a shared limit."""
    if share is None:
        return "this is played as if the queue of these jobs had all of it"
    others = share.queues - 1
    beside = f"beside {others} {'other' if others == 1 else 'others'}" if others > 0 else "alone"
    return f"this is played as if the queue of these jobs got {share.words} of it throughout, as it does now, {beside}"


def _figure(limit: Limit, tokens: int) -> str:
    return limit.unit.figure(tokens) if limit.unit else f"{tokens:,}"
