"""The HTTP API of a queue: submit, ask, wait and cancel, over HTTP. It uses only the public names of `runner`."""

from runner.http.app import create_app
from runner.http.server import serve

__all__ = ["create_app", "serve"]
