-- take_back: the attempt of a lost worker ends, and its job waits again. Its tokens stay spent, what it holds comes back.
-- ARGV: max_crashes, result_ttl_ms
-- include: engine, attempts
local poisoned = 0

-- `alone`: the worker ran nothing else, so it may have died of this job. Returns whether the job is to be put back to where it waits.
local function end_lost_attempt(id, task, attempt, watched, cancelled, needs, expires, alone)
  if needs and give_back_all(needs, holder_of(id, attempt)) then wake_waiters(needs) end
  local crashes = redis.pcall('HINCRBY', job_key(id), 'crashes', 1)
  if type(crashes) == 'table' then -- the field holds no number
    crashes = 1
    redis.call('HSET', job_key(id), 'crashes', crashes)
  end
  note_failure(id, attempt, 'WorkerLost', 'its worker died, or was cut off for longer than its lease')
  if cancelled then
    conclude(id, task, 'cancelled', nil, nil, attempt, watched, result_ttl_ms)
    return false
  end
  if alone and crashes >= tonumber(max_crashes) then
    poisoned = poisoned + 1
    local text = cjson.encode({ type = 'poison', message = 'its worker was lost ' .. crashes .. ' times while it ran, the last time with no other job' })
    conclude(id, task, 'failed', 'error', text, attempt, watched, failed_ttl_ms)
    return false
  end
  is_due(id, now)
  begin_wait(id, expires)
  return true
end
