"""VERSION: which version of the library serves, for OpenAPI and the overview."""

from importlib.metadata import version

VERSION = version("metered-runner")
