"""The dashboard: a page and its scripts, ready to be sent. Files only: what it shows it asks of the HTTP API, as any other client."""

from runner.dashboard.page_files import PageFile, page_files

__all__ = ["PageFile", "page_files"]
