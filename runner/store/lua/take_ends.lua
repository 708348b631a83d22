-- take_ends: take the ids of jobs that have ended otherwise than by an attempt, to tell the hooks of their tasks. Each is taken once: what is not told
-- then, as the worker dies or the reply is lost, is never told.
-- KEYS: prefix
-- ARGV: budget (ids), announce (0 or 1: say too, for a day, that hooks of these tasks want to know), tasks...
-- Returns: ids
-- include: told_ends

check_count(#ARGV - tasks_at + 1)
if announce == '1' then
  local old = redis.call('ZRANGEBYSCORE', HOOKED, '-inf', int(now - KEPT_MS * 1000), 'LIMIT', 0, MOST_ENTRIES)
  if old[1] then redis.call('ZREM', HOOKED, unpack(old)) end
  for at = tasks_at, #ARGV do redis.call('ZADD', HOOKED, int(now), ARGV[at]) end
  redis.call('PEXPIRE', HOOKED, KEPT_MS)
end
local taken, left = {}, tonumber(budget)
for at = tasks_at, #ARGV do
  local ids = left > 0 and redis.call('LPOP', ends_key(ARGV[at]), left) or {}
  for _, id in ipairs(ids) do taken[#taken + 1] = id end
  left = left - #ids
end
return taken
