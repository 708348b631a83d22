-- told_ends: keep the ids of jobs that have ended otherwise than by an attempt, whose worker tells its hooks itself. There is one list for each task
-- of which a worker has said within a day that its hooks want to know (see take_ends). What is beyond the most is lost, the oldest first.
-- include: base, counters
local HOOKED = prefix .. 'hooked'
local KEPT_MS = 86400000 -- a day
local untold_from = 1 -- the place in counted_ends from which on ends are told here
local function ends_key(task) return prefix .. 'ends:' .. task end

local function tell_ends()
  local MOST = 10000
  local lists = {} -- by task; false for one of which nobody wants to know
  for at = untold_from, #counted_ends, 6 do
    local id, task, letter = unpack(counted_ends, at, at + 2)
    if letter ~= RETRIED then
      local list = lists[task]
      if list == nil then
        local asked = number_in(redis.pcall('ZSCORE', HOOKED, task))
        list = asked and asked > now - KEPT_MS * 1000 and {}
        lists[task] = list or false
      end
      if list then list[#list + 1] = id end
    end
  end
  for task, ids in pairs(lists) do
    if ids then
      redis.pcall('RPUSH', ends_key(task), unpack(ids))
      redis.pcall('LTRIM', ends_key(task), -MOST, -1)
      redis.pcall('PEXPIRE', ends_key(task), KEPT_MS)
    end
  end
end
