"""The page of all settings, made from the fields of `Settings`."""

from handbook.text import MADE, cell, table
from runner.settings import Settings

INTRODUCTION = """# Settings

From the environment, or as arguments of `load_settings(...)` for `Runner("shop", settings=...)`. Names that end in S
are seconds. Each can be in a file, as secrets are, that `RUNNER_<NAME>_FILE` names.

"""


def default_text(value: object) -> str:
    """A default as the environment would say it."""
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) and value < 1_000_000 else str(value).lower()


def page() -> str:
    """The whole page."""
    rows = [
        [f"`RUNNER_{name.upper()}`", f"`{default_text(field.default)}`", cell(field.description or "")]
        for name, field in Settings.model_fields.items()
    ]
    return INTRODUCTION + MADE + "\n" + table(["setting", "default", "meaning"], rows)
