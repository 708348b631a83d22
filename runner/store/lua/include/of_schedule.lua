-- of_schedule: what the end of a job concerns that a schedule has made: what came of the latest run, and the run that waits for its end.
-- include: account, due_instants
function concerned.schedule(id, _, state, name)
  local key, due = prefix .. 'schedule:' .. name, prefix .. 'schedules:due'
  local current, pending, paused = unpack(redis.call('HMGET', key, 'current', 'pending', 'paused'))
  if current ~= id then return end
  redis.call('HSET', key, 'last_state', state, 'last_ended', int(now))
  if not pending or paused then return end
  note_due(now, due)
  redis.call('ZADD', due, int(now), name)
end
