-- remaining: what is left to do on the queue, for a worker that ends once nothing is. Reads only.
-- KEYS: prefix
-- ARGV: horizon_us, since_us (an instant by Redis's clock)
-- Returns: jobs that are ready, wait for tokens, run, or are due within the horizon; jobs that are due later; µs until the first of these
--   (-1: there is none); jobs that wait for a worker that serves their task; dead letters since that instant; this instant
-- include: base, held, known_pools, ended

local horizon = now + tonumber(horizon_us)
local soon = redis.call('ZCOUNT', prefix .. 'scheduled', '-inf', int(horizon))
soon = soon + math.max(tonumber(redis.call('GET', prefix .. 'waiting') or 0), 0)
for _, stream in ipairs(every_stream()) do soon = soon + redis.call('XLEN', stream) end
soon = soon + redis.call('ZCARD', prefix .. 'flow:ended')

local later = redis.call('ZCOUNT', prefix .. 'scheduled', '(' .. int(horizon), '+inf')
local first = redis.call('ZRANGEBYSCORE', prefix .. 'scheduled', '(' .. int(horizon), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
local wait = first[2] and tonumber(first[2]) - now or -1
local failed = 0
for _, set in ipairs(ended.sets_of('failed')) do failed = failed + redis.call('ZCOUNT', prefix .. set.name, int(tonumber(since_us)), '+inf') end
return { soon, later, int(wait), held.count(), failed, int(now) }
