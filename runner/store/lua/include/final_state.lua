-- final_state: bring a job to its final state, keep it for its time to live, announce its end to the clients that watch it.
-- include: base, list_ended, retention, counters

-- A ticket waits in a line like a job, for code that takes tokens without a job. Only that code reads it.
local function is_ticket(id) return string.sub(id, 1, 5) == 'take:' end

local conclude
local account -- see include/account
do
  local TICKET_MS, MOST_MS = 60000, YEAR_US / 1000 -- a minute, a year
  local finished = now_text

  -- A time to live that Redis takes, and that does not delete the key at once. One call ends many jobs with the same.
  local asked, answer
  local function lifetime(ttl_ms)
    if ttl_ms ~= asked then
      asked, answer = ttl_ms, int(math.max(math.min(tonumber(ttl_ms) or MOST_MS, MOST_MS), 1))
    end
    return answer
  end

  -- `ends` is the job's field `then`, if the caller has read it.
  function conclude(id, task, state, field, payload, attempt, watched, ttl_ms, ends)
    local key = job_key(id)
    local ticket = is_ticket(id)
    if state ~= 'succeeded' and not ticket then ttl_ms = kept_ms(task, state, ttl_ms) end
    redis.call('PEXPIRE', key, ticket and TICKET_MS or lifetime(ttl_ms))
    if field then
      redis.call('HSET', key, 'state', state, 'finished', finished, field, payload)
    else
      redis.call('HSET', key, 'state', state, 'finished', finished)
    end
    if watched then redis.call('PUBLISH', prefix .. 'finished', id) end
    if ticket then -- only jobs are counted as dead letters and kept in the history
      redis.call('ZREM', prefix .. 'expiring', id)
      return
    end
    -- These two are for people: a key of theirs that was damaged may not refuse what a job came to.
    if state ~= 'succeeded' then list_ended(id, state, lifetime(ttl_ms), finished) end
    redis.pcall('XADD', prefix .. 'history', 'MAXLEN', '~', history_length, '*', 'job', id, 'task', task or '', 'state', state, 'attempt', attempt or 0)
    local n = #counted_ends
    counted_ends[n + 1], counted_ends[n + 2], counted_ends[n + 3] = id, task or '', FINAL[state]
    counted_ends[n + 4], counted_ends[n + 5], counted_ends[n + 6] = false, false, false
    -- Nor may what else its end concerns: a duty finds what is left undone.
    if ends == nil then ends = redis.call('HGET', key, 'then') end
    if ends then pcall(account, id, task, state, ends) end
  end
end

-- End a job that waited longer than its max_wait, or until its deadline: expired, or a dead letter if its options say so.
local function expire(id, task, attempt, watched, on_expiry)
  if on_expiry == 'fail' then
    local is_late = (number_in(redis.call('HGET', job_key(id), 'deadline')) or now + 1) <= now
    local text = cjson.encode({ type = 'expired', message = is_late and 'it had to wait until its deadline' or 'it waited longer than its max_wait' })
    conclude(id, task, 'failed', 'error', text, attempt, watched, failed_ttl_ms)
  else
    conclude(id, task, 'expired', nil, nil, attempt, watched, failed_ttl_ms)
  end
end
