-- refill: release the waiting jobs whose tokens have landed. waiting -> queued. The leader's pacing; safe for anyone, at any time.
-- KEYS: prefix
-- ARGV: now_us, window_size, budget (jobs)
-- Returns: jobs released, µs until the next wake (-1: nobody waits; 0: more is due)
-- include: _base, _bucket, _token_bucket, _lines, _release

-- Wakes are instants of Redis's clock: had it gone back, they would come round too late by as much.
local CLOCK = prefix .. 'clock'
local JUMP_US = 1000000
local CLOCK_MS = 86400000
if now < tonumber(redis.call('GET', CLOCK) or 0) - JUMP_US then
  for _, bucket in ipairs(redis.call('ZRANGE', WAKES, 0, -1)) do redis.call('ZADD', WAKES, int(now), bucket) end
end
redis.call('SET', CLOCK, int(now), 'PX', CLOCK_MS)

local released, next_wake = release(tonumber(budget))
flush_buckets()
return { released, next_wake }
