-- final_state: bring a job to its final state, keep it for its time to live, announce its end to the clients that watch it.

-- A ticket waits in a line like a job, for code that takes tokens without a job. Only that code reads it.
local TICKET_MS = 60000
local function is_ticket(id) return string.sub(id, 1, 5) == 'take:' end

local finished = int(now)
local function conclude(id, task, state, field, payload, attempt, watched, ttl_ms)
  local key = job_key(id)
  if field then
    redis.call('HSET', key, 'state', state, 'finished', finished, field, payload)
  else
    redis.call('HSET', key, 'state', state, 'finished', finished)
  end
  local ticket = is_ticket(id)
  redis.call('PEXPIRE', key, ticket and TICKET_MS or ttl_ms)
  if watched then redis.call('PUBLISH', prefix .. 'finished', id) end
  if ticket then return end -- only jobs are counted as dead letters and kept in the history
  if state == 'failed' then redis.call('ZADD', prefix .. 'failed', finished, id) end
  redis.call('XADD', prefix .. 'history', 'MAXLEN', '~', history_length, '*', 'job', id, 'task', task, 'state', state, 'attempt', attempt or 0)
end

-- End a job that waited longer than its max_wait: expired, or a dead letter if its options say so.
local function expire(id, task, attempt, watched, on_expiry)
  if on_expiry == 'fail' then
    local text = cjson.encode({ type = 'expired', message = 'it waited longer than its max_wait' })
    conclude(id, task, 'failed', 'error', text, attempt, watched, failed_ttl_ms)
  else
    conclude(id, task, 'expired', nil, nil, attempt, watched, failed_ttl_ms)
  end
end
