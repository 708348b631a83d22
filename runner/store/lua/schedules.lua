-- schedules: what is known of some schedules, and of each whether it is dormant.
-- KEYS: prefix
-- ARGV: names...
-- Returns: now (µs); without names that of every schedule, in no order; else for each its entry or nothing, when it is due ('': it is not), whether
--   a live worker declares it (0 or 1), since when it is dormant ('': it is not), and the fields of what is known of it, by turns name and value
-- include: base, due_instants, specs, schedule_record

check_count(#ARGV - names_at + 1)
local answer = { int(now) }
if #ARGV < names_at then
  answer[2] = redis.call('HKEYS', schedules.KEY)
  return answer
end
for at = names_at, #ARGV do
  local name = ARGV[at]
  answer[#answer + 1] = {
    redis.call('HGET', schedules.KEY, name),
    redis.call('ZSCORE', schedules.DUE, name) or '',
    specs.is_served('s:' .. name) and 1 or 0,
    redis.call('ZSCORE', schedules.DORMANT, name) or '',
    redis.call('HGETALL', schedules.state_key(name)),
  }
end
return answer
