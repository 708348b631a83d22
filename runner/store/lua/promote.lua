-- promote: enqueue delayed and retrying jobs that are due. scheduled -> queued or waiting.
-- KEYS: prefix
-- ARGV: budget (jobs)
-- Returns: jobs promoted, µs until the next due job (-1: none; 0: more is due)
-- include: engine

local SCHEDULED = prefix .. 'scheduled'
local promoted = 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', SCHEDULED, '-inf', int(now), 'LIMIT', 0, budget)) do
  if is_enough(promoted) then break end
  promoted = promoted + 1
  redis.call('ZREM', SCHEDULED, id)
  local state, priority, limits, line, rank = read_job(id, 'state', 'priority', 'limits', 'line', 'rank')
  if state == 'scheduled' then
    redis.call('HSET', job_key(id), 'state', 'queued')
    enqueue(id, number_in(priority), limits, line, number_in(rank))
  end
end
flush()
nudge_leader()
local first = redis.call('ZRANGE', SCHEDULED, 0, 0, 'WITHSCORES')
return { promoted, first[2] and math.max(tonumber(first[2]) - now, 0) or -1 }
