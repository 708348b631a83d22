-- set_pause: pause the queue, a task, a pool or the bucket of a key: nothing of it starts once this has answered. Jobs that run go on. What is
-- paused already gets the reason and the end of this call, and stays paused since when it was; the same again changes nothing.
-- KEYS: prefix
-- ARGV: what ('queue', 'task', 'pool' or 'key'), name ('' of the queue), end_us (0: until it is resumed; negative: an instant; else µs from now), reason
-- Returns: the pause as JSON, live workers that do not know of pauses; or 'full' (so many pauses there are at most), 'past' or 'far' (the instant)
-- include: engine, pauses, bucket_pause, audit_line

local MOST_PAUSES, MOST_WORKERS = 1000, 500
local PAUSED_NAME = name ~= '' and name or nil
local field = PAUSED_NAME and what .. ':' .. name or what

-- Those that are over and that no leader has removed yet. The bucket of a key is left to the leader, which removes its mark too.
local function remove_over()
  local rows = redis.call('HGETALL', PAUSES)
  for at = 1, #rows, 2 do
    local its_what, its_name = string.match(rows[at], '^([^:]+):?(.*)$')
    if its_what ~= 'key' and not paused(its_what, its_name ~= '' and its_name or nil) then redis.call('HDEL', PAUSES, rows[at]) end
  end
end

-- Live workers of versions that do not look at pauses: what they claim starts all the same.
local function unaware()
  local count = 0
  for _, worker in ipairs(redis.call('ZRANGEBYSCORE', prefix .. 'workers', '(' .. int(now), '+inf', 'LIMIT', 0, MOST_WORKERS)) do
    if not string.find(redis.call('HGET', worker_key(worker), 'details') or '', '"pauses"', 1, true) then count = count + 1 end
  end
  return count
end

local ends = tonumber(end_us)
if ends < 0 and -ends <= now then return { 'past' } end
if ends < 0 and -ends > now + YEAR_US then return { 'far' } end
ends = ends > 0 and now + math.min(ends, YEAR_US) or -ends

local before = paused(what, PAUSED_NAME)
local by = cjson.decode(actor)[1]
local record = { by = by, at_us = before and before.at_us or int(now), reason = reason, until_us = ends > 0 and int(ends) or nil }
if before and before.by == by and before.reason == reason and before.until_us == record.until_us then
  return { cjson.encode(before), unaware() }
end
if redis.call('HEXISTS', PAUSES, field) == 0 and redis.call('HLEN', PAUSES) >= MOST_PAUSES then
  remove_over()
  if redis.call('HLEN', PAUSES) >= MOST_PAUSES then return { 'full' } end
end
redis.call('HSET', PAUSES, field, cjson.encode(record))
note_pause('paused', field)
audit('pause', PAUSED_NAME and what .. ' ' .. name or what, before and paused_as(before.reason) or 'open', paused_as(reason, ends - now), reason)
if what == 'key' then
  mark_paused(name, record)
  wake_waiting(name) -- the wake of before knows nothing of the end
end
pages_left = pages_left or ends > 0 -- the leader learns of an end that comes before all it knows of
flush()
nudge_leader()
return { cjson.encode(record), unaware() }
