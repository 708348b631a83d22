"""The tests that examples/fastapi_app brings for its readers, run with those of this library."""

from examples.fastapi_app.test_app import *  # noqa: F403 - every test of the file
