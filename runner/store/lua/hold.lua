-- hold: keep a concurrency slot that code without a job has taken, or give it back.
-- KEYS: prefix
-- ARGV: id ("take:..."), limits, lapse_us (0 gives back)
-- Returns: buckets still held (0: the slots lapsed, and others may have taken them)
-- include: engine

local needs = needs_of(limits)

local function renew()
  local held = 0
  for i = 1, #needs do
    local need = needs[i]
    if need.given_back then
      local member = member_of(need.cost, id)
      local key = prefix .. 'holders:' .. need.bucket
      local b = load_bucket(need.bucket)
      local lapses = redis.call('ZSCORE', key, member)
      if lapses and tonumber(lapses) > now then
        redis.call('ZADD', key, 'XX', int(now + math.min(tonumber(lapse_us), YEAR_US)), member)
        b.taken = true
        held = held + 1
      end
    end
  end
  flush()
  nudge_leader()
  return held
end

if lapse_us ~= '0' then return renew() end

-- include from here on: unled

-- The slot goes to who waits for it in this step, if no worker leads: it would not know, and no other process learns of it.
local names = buckets_of(needs)
local led = is_led(lateness(names))
if not led then forget_reservations() end
give_back_all(needs, id)
wake_waiters(needs)
if not led then serve_unled(names) end
flush()
nudge_leader()
return 0
