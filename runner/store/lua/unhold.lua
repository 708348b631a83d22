-- unhold: return jobs to where they belong that no worker could run, now that one can. waiting -> queued, or waiting for tokens.
-- KEYS: prefix
-- ARGV: budget (jobs)
-- Returns: jobs returned, whether there are more (0 or 1)
-- include: engine, held

local MOST_NAMES = math.floor(MOST_ENTRIES / 5) -- each can have to be looked for in what many versions serve
local left = tonumber(budget)

local function let_go(id, task)
  local state, why, priority, limits, line, rank = read_job(id, 'state', 'held', 'priority', 'limits', 'line', 'rank')
  held.remove(id, task, line)
  if state ~= 'scheduled' or not why then return end
  redis.call('HDEL', job_key(id), 'held', 'bounced', 'reason')
  redis.call('HSET', job_key(id), 'state', 'queued')
  enqueue(id, number_in(priority), limits, line, number_in(rank))
end

local returned, more = 0, 0
local names = held.names(MOST_NAMES)
for _, name in ipairs(names) do
  if held.is_served(name) then
    for _, id in ipairs(held.some(name, left + 1)) do
      if left == 0 or is_enough(3 * returned) then
        more = 1
        break
      end
      let_go(id, string.match(name, '^[^#]*'))
      returned, left = returned + 1, left - 1
    end
  end
  held.looked_at(name)
  held.forget_empty(name)
end
if returned > 0 and #names == MOST_NAMES then more = 1 end
flush()
nudge_leader()
return { returned, more }
