"""The HTTP service as this repository deploys it. It is not installed: a project may have a package `api` of its own.

Everything here is put together from `runner.http`, whose router a FastAPI app of your own can include.
"""
