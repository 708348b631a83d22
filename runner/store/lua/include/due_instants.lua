-- due_instants: instants at which something becomes due, each in the sorted set of its kind; the leader is told of those it cannot know.
local earliest_before, earliest_set = {}, false

-- Note a due instant; the leader is interrupted if it comes before all that it knows of.
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
