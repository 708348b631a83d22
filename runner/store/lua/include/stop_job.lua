-- stop_job: stop a job that has not ended. The answers are those of cancel.
-- include: engine, held, audit_line
local function stop_job(id, ttl_ms, note)
  local key = job_key(id)
  local state, task, worker, attempt, watched, limits, line, expires =
    read_job(id, 'state', 'task', 'worker', 'attempt', 'watched', 'limits', 'line', 'expires')
  if not state then return 'unknown' end
  if FINAL[state] then return state end
  if state == 'running' then
    redis.call('HSET', key, 'cancel', 1)
    -- A request can be repeated, for instance after a lost reply: it wakes the worker once, and each renewal of the lease repeats it.
    if redis.call('SADD', cancels_key(worker), id) == 1 then
      if note then audit('cancel', 'job ' .. id, state, 'stopping') end
      redis.call('LPUSH', inbox_key(worker), id)
      redis.call('PEXPIRE', inbox_key(worker), 3600000)
    end
    redis.call('PEXPIRE', cancels_key(worker), 3600000)
    return 'stopping'
  end
  if note and not is_ticket(id) then audit('cancel', 'job ' .. id, state, 'cancelled') end
  -- The entry of a job on a stream stays there. The claim that reads it drops it, because the job has ended.
  if state == 'scheduled' then
    held.remove(id, task, line)
  else
    withdraw(id, limits, line)
  end
  end_wait(id, expires)
  conclude(id, task, 'cancelled', nil, nil, attempt, watched, ttl_ms)
  return 'cancelled'
end
