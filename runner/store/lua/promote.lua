-- promote: enqueue delayed and retrying jobs that are due. scheduled -> queued or waiting.
-- KEYS: prefix
-- ARGV: budget (jobs)
-- Returns: jobs promoted, µs until the next due job (-1: none; 0: more is due), µs until the next schedule is due ('': none is; negative: so late it is)
-- include: engine

local SCHEDULED = prefix .. 'scheduled'
local IS_PASSED_ON = { bounced = true, slots = true } -- from one worker to another: it was due before
local promoted = 0
local due = redis.call('ZRANGEBYSCORE', SCHEDULED, '-inf', int(now), 'WITHSCORES', 'LIMIT', 0, budget)
for at = 1, #due, 2 do
  local id = due[at]
  if is_enough(promoted) then break end
  promoted = promoted + 1
  redis.call('ZREM', SCHEDULED, id)
  local state, priority, limits, line, rank, reason = read_job(id, 'state', 'priority', 'limits', 'line', 'rank', 'reason')
  if state == 'scheduled' then
    if IS_PASSED_ON[reason or ''] then redis.call('HSET', job_key(id), 'state', 'queued') else is_due(id, tonumber(due[at + 1])) end
    enqueue(id, number_in(priority), limits, line, number_in(rank))
  end
end
flush()
nudge_leader()
local first = redis.call('ZRANGE', SCHEDULED, 0, 0, 'WITHSCORES')
local schedule = redis.call('ZRANGE', prefix .. 'schedules:due', 0, 0, 'WITHSCORES')
return { promoted, first[2] and math.max(tonumber(first[2]) - now, 0) or -1, schedule[2] and int(tonumber(schedule[2]) - now) or '' }
