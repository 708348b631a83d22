-- refill: release the waiting jobs whose tokens have landed. waiting -> queued. The leader's pacing; safe for anyone, at any time.
-- KEYS: prefix
-- ARGV: now_us, window_size, budget (jobs)
-- Returns: jobs released, µs until the next wake (-1: nobody waits; 0: more is due)
-- include: _base, _bucket, _token_bucket, _lines, _release

local released, next_wake = release(tonumber(budget))
flush_buckets()
return { released, next_wake }
