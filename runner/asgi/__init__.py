"""Holds the callers of any ASGI app to limits: 429 before any work, with or without Redis."""

from runner.asgi.client_address import ClientAddresses
from runner.asgi.key_functions import KeyFunction, by_api_key, by_client_address, by_header, by_user
from runner.asgi.middleware import RateLimitMiddleware
from runner.asgi.rate_limits import RateLimits
from runner.asgi.request_limiter import OnError
from runner.asgi.rule import Rule

__all__ = [
    "ClientAddresses",
    "KeyFunction",
    "OnError",
    "RateLimitMiddleware",
    "RateLimits",
    "Rule",
    "by_api_key",
    "by_client_address",
    "by_header",
    "by_user",
]
