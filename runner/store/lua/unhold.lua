-- unhold: return jobs to where they belong that no worker could run, now that one can. waiting -> queued, or waiting for tokens.
-- KEYS: prefix
-- ARGV: budget (jobs)
-- Returns: jobs returned, whether there are more (0 or 1)
-- include: engine, held

local MOST_TASKS = math.floor(MOST_ENTRIES / 5) -- each can have to be looked for in what many versions serve
local left = tonumber(budget)

local function let_go(id, task)
  held.remove(id, task)
  local state, why, priority, limits, line, rank = read_job(id, 'state', 'held', 'priority', 'limits', 'line', 'rank')
  if state ~= 'scheduled' or not why then return end
  redis.call('HDEL', job_key(id), 'held', 'bounced', 'reason')
  redis.call('HSET', job_key(id), 'state', 'queued')
  enqueue(id, number_in(priority), limits, line, number_in(rank))
end

local returned, more = 0, 0
local tasks = held.tasks(MOST_TASKS)
for _, task in ipairs(tasks) do
  if specs.is_served('t:' .. task) then
    for _, id in ipairs(held.some(task, left + 1)) do
      if left == 0 or is_enough(3 * returned) then
        more = 1
        break
      end
      let_go(id, task)
      returned, left = returned + 1, left - 1
    end
  end
  held.looked_at(task)
  held.forget_empty(task)
end
if returned > 0 and #tasks == MOST_TASKS then more = 1 end
flush()
nudge_leader()
return { returned, more }
