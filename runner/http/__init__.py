"""The HTTP API of a queue: an app, a router for an app of your own, and a server. It uses only the public names of `runner`."""

from runner.extras import needed_by

with needed_by("runner.http"):
    import httptools  # noqa: F401 - uvicorn imports it when it serves

    from runner.http.app import create_app
    from runner.http.authorization import Authorize, ByKey, anyone
    from runner.http.in_your_app import lifespan, problems
    from runner.http.router import router
    from runner.http.server import serve

__all__ = ["Authorize", "ByKey", "anyone", "create_app", "lifespan", "problems", "router", "serve"]
