"""Limits: what a provider allows, as values with exact integer arithmetic. One file per kind; no I/O."""

from runner.limits.bucket import Bucket
from runner.limits.concurrency import Concurrency
from runner.limits.httpx_hook import raise_rate_limited
from runner.limits.kinds import KINDS, limit_of
from runner.limits.limit_text import LimitText
from runner.limits.naming import Need, bucket_name, decode_needs, encode_needs, key_text_of, key_value, limit_name, need_of
from runner.limits.policy import Limit, template_fields
from runner.limits.quota import Quota, period_starts
from runner.limits.rates import EXACT
from runner.limits.retry_after import retry_after_s
from runner.limits.sliding_window import SlidingWindow
from runner.limits.status import BucketStatus, LimitStatus, Override, Pause
from runner.limits.token_bucket import BucketState, TokenBucket
from runner.limits.usage import Taken, most_at_once

__all__ = [
    "EXACT",
    "KINDS",
    "Bucket",
    "BucketState",
    "BucketStatus",
    "Concurrency",
    "Limit",
    "LimitStatus",
    "LimitText",
    "Need",
    "Override",
    "Pause",
    "Quota",
    "SlidingWindow",
    "Taken",
    "TokenBucket",
    "bucket_name",
    "decode_needs",
    "encode_needs",
    "key_text_of",
    "key_value",
    "limit_name",
    "limit_of",
    "most_at_once",
    "need_of",
    "period_starts",
    "raise_rate_limited",
    "retry_after_s",
    "template_fields",
]
