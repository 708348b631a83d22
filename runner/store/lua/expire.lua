-- expire: end the jobs that have waited longer than their max_wait. queued, waiting or scheduled -> expired, or failed.
-- A running job is looked at again later, because it can return to its line.
-- KEYS: prefix
-- ARGV: budget (jobs)
-- Returns: jobs expired, µs until the next is due (-1: none; 0: more is due)
-- include: engine

local EXPIRING = prefix .. 'expiring'
local LOOK_AGAIN_US = 10000000
local expired = 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', EXPIRING, '-inf', int(now), 'LIMIT', 0, budget)) do
  local state, task, attempt, watched, on_expiry, limits, line =
    read_job(id, 'state', 'task', 'attempt', 'watched', 'on_expiry', 'limits', 'line')
  if state == 'running' then
    redis.call('ZADD', EXPIRING, int(now + LOOK_AGAIN_US), id)
  else
    redis.call('ZREM', EXPIRING, id)
    if state and not FINAL[state] then
      if state == 'scheduled' then
        redis.call('ZREM', prefix .. 'scheduled', id)
      else
        withdraw(id, limits, line)
      end
      expire(id, task, attempt, watched, on_expiry)
      expired = expired + 1
    end
  end
end
flush_buckets()
nudge_leader()
local first = redis.call('ZRANGE', EXPIRING, 0, 0, 'WITHSCORES')
return { expired, first[2] and math.max(tonumber(first[2]) - now, 0) or -1 }
