-- expire: end what has waited for too long. queued, waiting or scheduled -> expired, or failed.
-- KEYS: prefix
-- ARGV: budget (jobs)
-- Returns: jobs expired, µs until the next is due (-1: none; 0: more is due)
-- include: engine, expiry

local expired = expire_due(budget)
flush()
nudge_leader()
local first = redis.call('ZRANGE', EXPIRING, 0, 0, 'WITHSCORES')
return { expired, first[2] and math.max(tonumber(first[2]) - now, 0) or -1 }
