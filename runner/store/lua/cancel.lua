-- cancel: stop a job. Any state that is not final -> cancelled; a running job is asked to stop and ends when its handler does.
-- Repeatable: cancelling a cancelled job is the same answer again.
-- KEYS: prefix
-- ARGV: id, ttl_ms
-- Returns: 'unknown', 'cancelled', 'stopping', or the final state it already has
-- include: engine

local key = job_key(id)
local f = redis.call('HMGET', key, 'state', 'task', 'worker', 'attempt', 'watched', 'limits', 'line')
local state = f[1]
if not state then return 'unknown' end
if FINAL[state] then return state end
if state == 'running' then
  redis.call('HSET', key, 'cancel', 1)
  -- Asked again, by somebody impatient or after a lost reply: its worker is woken once, and every renewal tells it.
  if redis.call('SADD', cancels_key(f[3]), id) == 1 then
    redis.call('LPUSH', inbox_key(f[3]), id)
    redis.call('PEXPIRE', inbox_key(f[3]), 3600000)
  end
  redis.call('PEXPIRE', cancels_key(f[3]), 3600000)
  return 'stopping'
end
-- A job on a stream stays there until a claim meets it; it is final already, so that claim drops it.
if state == 'scheduled' then
  redis.call('ZREM', prefix .. 'scheduled', id)
else
  withdraw(id, f[6], f[7])
end
conclude(id, f[2], 'cancelled', nil, nil, f[4], f[5], ttl_ms)
flush_buckets()
nudge_leader()
return 'cancelled'
