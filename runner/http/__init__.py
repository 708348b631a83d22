"""The HTTP API of a queue: an app, a router for an app of your own, and a server. It uses only the public names of `runner`."""

from runner.http.app import create_app
from runner.http.router import router
from runner.http.server import serve

__all__ = ["create_app", "router", "serve"]
