"""Metering: what a server needs to hold its own callers to limits, as values: rules, keys, local buckets, header fields. No I/O."""

from runner.metering.allowance import Allowance
from runner.metering.breaker import CircuitBreaker
from runner.metering.client_address import ClientAddresses
from runner.metering.client_keys import KeyFunction, by_api_key, by_client_address, by_header, by_user
from runner.metering.fields import problem_document, rate_limit_fields
from runner.metering.live_keys import OTHERS, LiveKeys
from runner.metering.local_buckets import LocalBuckets, LocalTake
from runner.metering.rule import Rule, Scope
from runner.metering.verdict import Standing, Verdict

__all__ = [
    "OTHERS",
    "Allowance",
    "CircuitBreaker",
    "ClientAddresses",
    "KeyFunction",
    "LiveKeys",
    "LocalBuckets",
    "LocalTake",
    "Rule",
    "Scope",
    "Standing",
    "Verdict",
    "by_api_key",
    "by_client_address",
    "by_header",
    "by_user",
    "problem_document",
    "rate_limit_fields",
]
