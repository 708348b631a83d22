-- adapt: lower the rate in force of limits whose providers have said wait again, and raise that of others slowly. The leader calls it.
-- Lowered once for each freeze that followed another within a minute, while an operator's override is not in force. Raised while the limit is
-- busy and not frozen, by a hundredth a second of what it was before it was last lowered, and of what it is once it is above that; at the
-- declared rate (or the most that the declaration names) the override ends. One that nothing changes ends by itself after an hour.
-- KEYS: prefix
-- ARGV: none
-- Returns: µs until it is to be called again (-1: not before it is nudged), then for each limit whose rate was lowered, or is the declared one
--   again: its name, the share in force in millionths, and the share before
-- include: engine, adapting, audit_line

local PERIOD_US, KEPT_US = 1000000, 3600000000
local LOWERED, RAISED = 0.8, 0.01 -- found by simulation, see docs/howto/limits.md
local LEAST_STEP = 10
local answer = { -1 }

local function tell(name, share, before)
  local n = #answer
  answer[n + 1], answer[n + 2], answer[n + 3] = name, int(share), int(before)
end

-- Versions of an adapted rate follow one another fast: only the latest is kept, so that the policies of before stay known.
local function end_adapted(entry)
  local previous = entry.previous and entry.previous[1]
  if previous and previous.adapting and entry.override then table.remove(entry.previous, 1) end
  end_override(entry)
end

local function put(name, entry, share, peak, since)
  local former, before = in_force(entry), cjson.encode(in_force(entry))
  local is_first = not former.adapting
  end_adapted(entry)
  if share < WHOLE then
    if is_first then end_policy(entry, entry.code, now) end
    local policy = policy_at(entry.code, share)
    policy.version, policy.at_us, policy.until_us = next_version(entry), int(since), int(now + KEPT_US)
    policy.by, policy.adapting = 'adapting', { share = share, peak = peak, changed_us = int(now) }
    policy.reason = 'its provider said wait again and again: ' .. int(math.floor(share / (WHOLE / 100) + 0.5)) .. ' % of the declared rate'
    entry.override = policy
  end
  write_entry(name, entry)
  if share == WHOLE or is_first then
    audit(share == WHOLE and 'restore' or 'override', 'limit ' .. name, before, cjson.encode(in_force(entry)), 'adapting')
  end
  buckets[name] = nil -- it may have been looked at under the former policy
  convert_bucket(name)
  retime(name)
end

-- Whether more starts than a bucket that nobody waits for would need: jobs wait, or half of what it can hold is used.
local function is_busy(name, policy)
  local b = load_bucket(name)
  if not b.kind or not b.kind.available or frozen_until(b) > now or policy.entry.paused then return false end
  return is_waited_for(name) or b.kind.available(b) < policy.capacity / 2
end

local function adapt(name, said)
  local entry = read_entry(name)
  local own = entry and entry.override and entry.override.adapting
  local code = entry and entry.code
  if not entry or not code.adapt_least or (entry.override and not own and is_overridden(entry)) then
    if own then put(name, entry, WHOLE, WHOLE, now) end
    return false
  end
  if own and not is_overridden(entry) then own = nil end
  local share, peak = own and own.share or WHOLE, own and own.peak or WHOLE
  local since = own and tonumber(entry.override.at_us) or now
  if said > 0 then
    local lower = math.max(math.floor(share * LOWERED), code.adapt_least)
    if lower < share then
      put(name, entry, lower, share, since)
      tell(name, lower, share)
    end
    return lower < WHOLE
  end
  if not own then return false end
  if now - tonumber(own.changed_us) >= 0.9 * PERIOD_US and is_busy(name, policy_of(name)) then
    local raised = math.max(math.min(share + math.max(math.floor(math.max(share, peak) * RAISED), LEAST_STEP), code.adapt_most), share)
    if raised > share or tonumber(entry.override.until_us) - now < KEPT_US / 2 then
      put(name, entry, raised, peak, since)
      if raised == WHOLE then tell(name, raised, share) end
      return raised < WHOLE
    end
  end
  return true
end

-- A few in each call; where there are more, the next ones in the next call, which is the sooner.
local MOST_LIMITS = 16
local names = redis.call('HKEYS', ADAPTING)
table.sort(names)
local pause = math.floor(PERIOD_US / math.ceil(math.max(#names, 1) / MOST_LIMITS))
local first = math.floor(now / pause) * MOST_LIMITS
for place = 0, math.min(#names, MOST_LIMITS) - 1 do
  local name = names[(first + place) % #names + 1]
  if adapt(name, number_in(redis.call('HGET', ADAPTING, name)) or 0) then redis.call('HSET', ADAPTING, name, '0') else redis.call('HDEL', ADAPTING, name) end
end
if redis.call('EXISTS', ADAPTING) == 1 then answer[1] = pause end
flush()
nudge_leader()
return answer
