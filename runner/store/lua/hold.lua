-- hold: keep a concurrency slot that code without a job has taken, or give it back.
-- KEYS: prefix
-- ARGV: id ("take:..."), limits, lapse_us (0 gives back)
-- Returns: buckets still held (0: the slots lapsed, and others may have taken them)
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
      local b = load_bucket(need.bucket) -- forgets slots that have lapsed
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
