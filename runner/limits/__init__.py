"""Limits: what a provider allows, as values with exact integer arithmetic. One file per kind; no I/O."""

from typing import TYPE_CHECKING

from runner.faces import at_first_use

if TYPE_CHECKING:  # see runner.faces
    from runner.limits.adapting import WHOLE
    from runner.limits.bucket import FAR_US, Bucket, Burst, Promise, StoredBucket
    from runner.limits.calendar import period_of, period_starts
    from runner.limits.concurrency import Concurrency
    from runner.limits.credits import BucketState
    from runner.limits.httpx_hook import PASSED, Response, raise_rate_limited
    from runner.limits.kinds import KINDS, limit_of, limit_of_document
    from runner.limits.limit_text import LimitText
    from runner.limits.naming import (
        Need,
        bucket_name,
        decode_needs,
        encode_needs,
        in_pool,
        is_bucket_name,
        key_of,
        key_text_of,
        key_values,
        limit_name,
        need_of,
        pool_of,
    )
    from runner.limits.policy import Limit, Unit, checked_template, part_in_words, template_fields
    from runner.limits.provider_counts import Count, count_in
    from runner.limits.queue_pace import QueuePace, at_present, stored_pace
    from runner.limits.quota import Quota
    from runner.limits.rate_limited import rate_limited_in
    from runner.limits.rates import EXACT
    from runner.limits.retry_after import Word, read
    from runner.limits.scalars import decimal_text, float_of, instant_text, time_text
    from runner.limits.shared_status import QueueShare, SharedStatus, shared_status_of
    from runner.limits.sharing import check_no_home, check_one_home, home_of
    from runner.limits.sliding_window import SlidingWindow
    from runner.limits.state_word import LimitFacts, LimitState, limit_state
    from runner.limits.status import BucketStatus, LimitStatus, Override, Pause, ProviderCount, Reset, instant_document
    from runner.limits.token_bucket import TokenBucket
    from runner.limits.usage import Taken, most_at_once
else:
    __getattr__, __dir__ = at_first_use(
        __name__,
        {
            "adapting": "WHOLE",
            "bucket": "FAR_US Bucket Burst Promise StoredBucket",
            "calendar": "period_of period_starts",
            "concurrency": "Concurrency",
            "credits": "BucketState",
            "httpx_hook": "PASSED Response raise_rate_limited",
            "kinds": "KINDS limit_of limit_of_document",
            "state_word": "LimitFacts LimitState limit_state",
            "limit_text": "LimitText",
            "naming": "Need bucket_name decode_needs encode_needs in_pool is_bucket_name key_of key_text_of key_values limit_name need_of pool_of",
            "policy": "Limit Unit checked_template part_in_words template_fields",
            "provider_counts": "Count count_in",
            "queue_pace": "QueuePace at_present stored_pace",
            "quota": "Quota",
            "rate_limited": "rate_limited_in",
            "rates": "EXACT",
            "retry_after": "Word read",
            "shared_status": "QueueShare SharedStatus shared_status_of",
            "sharing": "check_no_home check_one_home home_of",
            "scalars": "decimal_text float_of instant_text time_text",
            "sliding_window": "SlidingWindow",
            "status": "BucketStatus LimitStatus Override Pause ProviderCount Reset instant_document",
            "token_bucket": "TokenBucket",
            "usage": "Taken most_at_once",
        },
    )

__all__ = [
    "EXACT",
    "FAR_US",
    "KINDS",
    "PASSED",
    "WHOLE",
    "Bucket",
    "BucketState",
    "BucketStatus",
    "Burst",
    "Concurrency",
    "Count",
    "Limit",
    "LimitFacts",
    "LimitState",
    "LimitStatus",
    "LimitText",
    "Need",
    "Override",
    "Pause",
    "Promise",
    "ProviderCount",
    "QueuePace",
    "QueueShare",
    "Quota",
    "Reset",
    "Response",
    "SharedStatus",
    "SlidingWindow",
    "StoredBucket",
    "Taken",
    "TokenBucket",
    "Unit",
    "Word",
    "at_present",
    "bucket_name",
    "check_no_home",
    "check_one_home",
    "checked_template",
    "count_in",
    "decimal_text",
    "decode_needs",
    "encode_needs",
    "float_of",
    "home_of",
    "in_pool",
    "instant_document",
    "instant_text",
    "is_bucket_name",
    "key_of",
    "key_text_of",
    "key_values",
    "limit_name",
    "limit_of",
    "limit_of_document",
    "limit_state",
    "most_at_once",
    "need_of",
    "part_in_words",
    "period_of",
    "period_starts",
    "pool_of",
    "raise_rate_limited",
    "rate_limited_in",
    "read",
    "shared_status_of",
    "stored_pace",
    "template_fields",
    "time_text",
]
