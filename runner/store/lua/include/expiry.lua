-- expiry: end the jobs and tickets that have waited for too long: a job longer than its max_wait, a ticket longer than its caller tends it.
-- include: held
local function expire_due(budget)
  local expired = 0
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', EXPIRING, '-inf', int(now), 'LIMIT', 0, budget)) do
    local state, task, attempt, watched, on_expiry, limits, line =
      read_job(id, 'state', 'task', 'attempt', 'watched', 'on_expiry', 'limits', 'line')
    redis.call('ZREM', EXPIRING, id)
    if state and state ~= 'running' and not FINAL[state] then
      if state == 'scheduled' then
        held.remove(id, task, line)
      else
        withdraw(id, limits, line)
      end
      expire(id, task, attempt, watched, on_expiry)
      expired = expired + 1
    end
  end
  return expired
end
