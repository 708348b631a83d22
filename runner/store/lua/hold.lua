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
    if needs[i].given_back then
      local member = member_of(needs[i].cost, id)
      local key = prefix .. 'holders:' .. needs[i].bucket
      local b = load_bucket(needs[i].bucket) -- what has lapsed is gone
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
