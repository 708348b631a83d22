-- unpark: jobs of a task whose pause is over go on: those with limits at their old place in line, others behind what is on their streams.
-- include: engine, parked
local function let_go(id)
  local state, why, priority, limits, line, rank = read_job(id, 'state', 'held', 'priority', 'limits', 'line', 'rank')
  if state ~= 'scheduled' or why ~= 'pause' then return end
  redis.call('HDEL', job_key(id), 'held', 'reason')
  redis.call('HSET', job_key(id), 'state', 'queued')
  enqueue(id, number_in(priority), limits, line, number_in(rank))
end

-- Returns how many went, up to `budget`, and whether some are left.
local function unpark(task, budget)
  local went, jobs = 0, parked.some(task, budget + 1)
  for _, id in ipairs(jobs) do
    if went == budget or is_enough(3 * went) then break end
    parked.remove(id, task)
    let_go(id)
    went = went + 1
  end
  if #jobs == 0 then parked.forget_empty(task) end
  return went, went < #jobs
end
