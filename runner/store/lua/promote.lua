-- promote: enqueue delayed and retrying jobs whose time has come. scheduled -> queued or waiting.
-- KEYS: prefix
-- ARGV: budget (jobs)
-- Returns: jobs promoted, µs until the next due job (-1: none; 0: more is due)
-- include: engine

local SCHEDULED = prefix .. 'scheduled'
local due = redis.call('ZRANGEBYSCORE', SCHEDULED, '-inf', int(now), 'LIMIT', 0, budget)
for _, id in ipairs(due) do
  redis.call('ZREM', SCHEDULED, id)
  local key = job_key(id)
  local f = redis.call('HMGET', key, 'state', 'priority', 'limits', 'line', 'rank')
  if f[1] == 'scheduled' then
    redis.call('HSET', key, 'state', 'queued')
    enqueue(id, tonumber(f[2]), f[3], f[4], f[5] and tonumber(f[5]))
  end
end
flush_buckets()
nudge_leader()
local first = redis.call('ZRANGE', SCHEDULED, 0, 0, 'WITHSCORES')
return { #due, first[2] and math.max(tonumber(first[2]) - now, 0) or -1 }
