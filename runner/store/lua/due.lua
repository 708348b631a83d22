-- due: the schedules that are due, as the leader reads them before it says in `fire` what is to be done. One that the code declares and that no
-- live worker declares becomes dormant: it is not fired. Nothing else changes.
-- KEYS: prefix
-- ARGV: budget (schedules), late_us (only what is so late)
-- Returns: now (µs), µs until the next is due (-1: there is none; 0: more are due), then for each its name, when it was due, its entry, and of
--   what is known of it nominal, anchor, last and pending
-- include: base, due_instants, specs, schedule_record

local function known_of(name) return redis.call('HMGET', schedules.state_key(name), 'nominal', 'anchor', 'last', 'pending') end

local first = redis.call('ZRANGE', schedules.DUE, 0, 0, 'WITHSCORES')
if not first[1] then return { int(now), '-1' } end
local until_us = now - tonumber(late_us)
if tonumber(first[2]) > until_us then return { int(now), int(math.max(tonumber(first[2]) - now, 0)) } end

local answer = { int(now), '0' }
local found = redis.call('ZRANGEBYSCORE', schedules.DUE, '-inf', int(until_us), 'WITHSCORES', 'LIMIT', 0, budget)
for at = 1, #found, 2 do
  local name = found[at]
  local entry, text = schedules.read(name)
  if not text then
    redis.call('ZREM', schedules.DUE, name) -- it points at nothing
  elseif entry and entry.source == 'code' and not specs.is_served('s:' .. name) then
    redis.call('ZADD', schedules.DORMANT, 'NX', int(now), name)
    redis.call('ZREM', schedules.DUE, name)
  else
    answer[#answer + 1] = { name, found[at + 1], text, unpack(known_of(name), 1, 4) }
  end
end
return answer
