-- _conclude: bring a job to its final state, keep it for its time to live, tell whoever watches it.
local function conclude(id, task, state, field, payload, attempt, watched, ttl_ms)
  local key = job_key(id)
  if field then
    redis.call('HSET', key, 'state', state, 'finished', int(now), field, payload)
  else
    redis.call('HSET', key, 'state', state, 'finished', int(now))
  end
  redis.call('PEXPIRE', key, ttl_ms)
  if state == 'failed' then redis.call('ZADD', prefix .. 'failed', int(now), id) end
  if watched then redis.call('PUBLISH', prefix .. 'finished', id) end
  redis.call('XADD', prefix .. 'history', 'MAXLEN', '~', history_length, '*', 'job', id, 'task', task, 'state', state, 'attempt', attempt or 0)
end
