-- expire: end the jobs that have waited longer than their max_wait. queued, waiting or scheduled -> expired, or failed.
-- A running one is looked at again later: it may come back to wait.
-- KEYS: prefix
-- ARGV: budget (jobs)
-- Returns: jobs expired, µs until the next is due (-1: none; 0: more is due)
-- include: engine

local EXPIRING = prefix .. 'expiring'
local LOOK_AGAIN_US = 10000000
local expired = 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', EXPIRING, '-inf', int(now), 'LIMIT', 0, budget)) do
  local f = redis.call('HMGET', job_key(id), 'state', 'task', 'attempt', 'watched', 'on_expiry', 'limits', 'line')
  if f[1] == 'running' then
    redis.call('ZADD', EXPIRING, int(now + LOOK_AGAIN_US), id)
  else
    redis.call('ZREM', EXPIRING, id)
    if f[1] and not FINAL[f[1]] then
      if f[1] == 'scheduled' then
        redis.call('ZREM', prefix .. 'scheduled', id)
      else
        withdraw(id, f[6], f[7])
      end
      expire(id, f[2], f[3], f[4], f[5])
      expired = expired + 1
    end
  end
end
flush_buckets()
nudge_leader()
local first = redis.call('ZRANGE', EXPIRING, 0, 0, 'WITHSCORES')
return { expired, first[2] and math.max(tonumber(first[2]) - now, 0) or -1 }
