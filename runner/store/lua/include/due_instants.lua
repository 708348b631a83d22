-- due_instants: instants at which a line or a job becomes due, in a sorted set of each kind. The leader sleeps until the earliest it knows:
-- a call that sets an earlier one interrupts it.
local earliest_before, earliest_set = {}, false

-- Call this before the instant is added to its sorted set.
local function note_due(due, zset)
  if earliest_before[zset] == nil then
    local first = redis.call('ZRANGE', zset, 0, 0, 'WITHSCORES')
    earliest_before[zset] = first[2] and tonumber(first[2]) or math.huge
  end
  if due < earliest_before[zset] then earliest_set = true end
end

local function nudge_leader()
  if earliest_set then
    redis.call('LPUSH', prefix .. 'nudge', '1')
    redis.call('LTRIM', prefix .. 'nudge', 0, 0)
  end
end
