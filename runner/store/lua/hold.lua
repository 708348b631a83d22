-- hold: a sign of life from code that has taken a concurrency slot, or its return.
-- KEYS: prefix
-- ARGV: id ("take:..."), limits, lapse_us (0 gives back)
-- Returns: buckets still held (0: they lapsed, and others may have them)
-- include: engine

local needs = needs_of(limits)
local held = 0
if lapse_us == '0' then
  give_back_all(needs, id)
  wake_waiters(needs)
else
  for i = 1, #needs do
    local need = needs[i]
    if need.given_back then
      local member = member_of(need.cost, id)
      local key = prefix .. 'holders:' .. need.bucket
      local b = load_bucket(need.bucket) -- what has lapsed is gone
      if redis.call('ZSCORE', key, member) then
        redis.call('ZADD', key, 'XX', int(now + tonumber(lapse_us)), member)
        b.taken = true
        held = held + 1
      end
    end
  end
end
flush_buckets()
nudge_leader()
return held
