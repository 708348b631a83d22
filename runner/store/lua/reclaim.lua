-- reclaim: take jobs back from lapsed workers. running -> queued, cancelled or failed (poison: at least max_crashes workers were lost
-- while they ran the job, and the last of them ran nothing else, so no job fails for what ran alongside it). A job that a worker had
-- read but not started goes back without a crash counted. Only an empty consumer is removed: removing one with pending entries would
-- orphan them. A lapsed worker is condemned first (score 0), so it cannot renew its lease between two calls.
-- KEYS: prefix
-- ARGV: budget (entries), max_crashes, result_ttl_ms
-- Returns: entries taken back, workers removed, jobs given up as poison
-- include: engine, worker_turn, pending_entries

local WORKERS = prefix .. 'workers'
local left, removed, poisoned = tonumber(budget), 0, 0

-- Consumers without a record (it was deleted by hand) count as lapsed too.
for _, stream in ipairs(STREAMS) do
  local consumers = redis.pcall('XINFO', 'CONSUMERS', stream, GROUP)
  if not consumers.err then
    for _, row in ipairs(consumers) do redis.call('ZADD', WORKERS, 'NX', 0, row[2]) end
  end
end

local function take_back(lapsed, priority, id, alone)
  local state, worker, task, attempt, watched, cancelled, limits, line, rank =
    read_job(id, 'state', 'worker', 'task', 'attempt', 'watched', 'cancel', 'limits', 'line', 'rank')
  local needs = limits and needs_of(limits)
  if state == 'queued' or FINAL[state] then
    if state ~= 'queued' then return leave_stream(id, needs) end
    if needs then free_reservation(needs) end
  elseif state == 'running' and worker == lapsed then
    if needs and give_back_all(needs, holder_of(id, attempt)) then wake_waiters(needs) end
    local crashes = redis.call('HINCRBY', job_key(id), 'crashes', 1)
    if cancelled then return conclude(id, task, 'cancelled', nil, nil, attempt, watched, result_ttl_ms) end
    if alone and crashes >= tonumber(max_crashes) then
      poisoned = poisoned + 1
      local text = cjson.encode({ type = 'poison', message = 'its worker was lost ' .. crashes .. ' times while it ran, the last time with no other job' })
      return conclude(id, task, 'failed', 'error', text, attempt, watched, failed_ttl_ms)
    end
    redis.call('HSET', job_key(id), 'state', 'queued')
  else
    return
  end
  enqueue(id, priority, limits, line, tonumber(rank))
end

for _, lapsed in ipairs(redis.call('ZRANGEBYSCORE', WORKERS, '-inf', int(now), 'LIMIT', 0, 100)) do
  redis.call('ZADD', WORKERS, 0, lapsed)
  local begun = redis.call('HGET', worker_key(lapsed), 'turn') == int(LAPSED) -- an earlier call has taken some of its jobs back
  if redis.call('EXISTS', worker_key(lapsed)) == 1 then redis.call('HSET', worker_key(lapsed), 'turn', int(LAPSED)) end
  local taken, ran = {}, 0
  for priority = 0, 2 do
    if left > 0 then
      for _, row in ipairs(pending_of(priority, lapsed, left)) do
        local id = take_entry(priority, row[1])
        if id then
          taken[#taken + 1] = { priority, id }
          if redis.call('HGET', job_key(id), 'state') == 'running' then ran = ran + 1 end
        end
        left = left - 1
      end
    end
  end
  for _, job in ipairs(taken) do take_back(lapsed, job[1], job[2], ran == 1 and not begun and left > 0) end
  if left <= 0 then break end
  dismiss(lapsed)
  removed = removed + 1
end

flush_buckets()
nudge_leader()
return { tonumber(budget) - left, removed, poisoned }
