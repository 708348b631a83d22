-- final_state: bring a job to its final state, keep it for its time to live, tell whoever watches it.

-- A ticket stands in line like a job, for code that asks for tokens without one; nobody but its taker looks at it.
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
  if ticket then return end -- no job has ended
  if state == 'failed' then redis.call('ZADD', prefix .. 'failed', finished, id) end
  redis.call('XADD', prefix .. 'history', 'MAXLEN', '~', history_length, '*', 'job', id, 'task', task, 'state', state, 'attempt', attempt or 0)
end

-- A job that waited longer than its max_wait: expired, or a dead letter if that was asked for.
local function expire(id, task, attempt, watched, on_expiry)
  if on_expiry == 'fail' then
    local text = cjson.encode({ type = 'expired', message = 'it waited longer than its max_wait' })
    conclude(id, task, 'failed', 'error', text, attempt, watched, failed_ttl_ms)
  else
    conclude(id, task, 'expired', nil, nil, attempt, watched, failed_ttl_ms)
  end
end
