"""SVG by hand: text, bars and lines on a card that is light or dark like the reader's screen. Every picture is made of these."""

from collections.abc import Iterable, Mapping
from html import escape

INK, QUIET, LINE, BOUND, TRACK, OTHERS = "ink", "quiet", "line", "bound", "track", "others"
SERIES = ("series-1", "series-2", "series-3", "series-4", "series-5", "series-6")
"""Paints for things that must differ, in this order."""

_CARD = "card"
_LIGHT = {
    _CARD: "#ffffff",
    INK: "#1c2430",
    QUIET: "#667085",
    LINE: "#e4e7ec",
    BOUND: "#c8322b",
    TRACK: "#eef1f5",
    OTHERS: "#b4bcc8",
    **dict(zip(SERIES, ("#3366cc", "#e28a1b", "#2a9d78", "#b5487c", "#7b61c9", "#4aa3c7"), strict=True)),
}
_DARK = {
    _CARD: "#161b22",
    INK: "#e6e9ee",
    QUIET: "#9aa4b2",
    LINE: "#2d343e",
    BOUND: "#ff7b72",
    TRACK: "#242b35",
    OTHERS: "#57606c",
    **dict(zip(SERIES, ("#5b8def", "#e5a04c", "#3fb68f", "#d46a9c", "#9a84e0", "#63b7d8"), strict=True)),
}
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def document(width: float, height: float, title: str, body: Iterable[str]) -> str:
    """The whole file."""
    style = f"{_rules(_LIGHT)}\n@media (prefers-color-scheme: dark) {{\n{_rules(_DARK)}\n}}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" role="img" '
        f'font-family="{_FONT}" font-size="13" style="font-variant-numeric: tabular-nums">\n<title>{_safe(title)}</title>\n'
        f"<style>\n{style}\n</style>\n{rect(0, 0, width, height, _CARD, radius=10)}\n" + "\n".join(body) + "\n</svg>\n"
    )


def text(
    x: float, y: float, words: str, *, size: int = 13, paint: str = INK, weight: int = 400, anchor: str = "start", halo: bool = False
) -> str:
    """Words whose baseline is at `y`; a halo keeps them readable on other shapes."""
    paints = f"{paint} halo" if halo else paint
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" class="{paints}">'
        f"{_safe(words)}</text>"
    )


def rect(x: float, y: float, width: float, height: float, paint: str, *, radius: float = 0, opacity: float = 1) -> str:
    shape = (f' rx="{radius:g}"' if radius else "") + (f' opacity="{opacity:g}"' if opacity < 1 else "")
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" class="{paint}"{shape}/>'


def line(x1: float, y1: float, x2: float, y2: float, paint: str, *, width: float = 1, dash: str = "") -> str:
    extra = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke-width="{width:g}" class="{paint}"{extra}/>'


def width_of(words: str) -> float:
    """About how wide words are in the small size."""
    return 7.4 * len(words)


def shortened(words: str, most: int) -> str:
    return words if len(words) <= most else words[: most - 1] + "…"


def printable(words: str) -> str:
    """A name without control characters: they would command a terminal, and XML cannot hold them, not even escaped."""
    return "".join(character if character.isprintable() else "\ufffd" for character in words)


def _safe(words: str) -> str:
    return escape(printable(words))


def _rules(colours: Mapping[str, str]) -> str:
    rules = [f".{paint} {{ fill: {colour} }} line.{paint} {{ stroke: {colour} }}" for paint, colour in colours.items()]
    return "\n".join([*rules, f".halo {{ stroke: {colours[_CARD]}; stroke-width: 4; stroke-linejoin: round; paint-order: stroke }}"])
