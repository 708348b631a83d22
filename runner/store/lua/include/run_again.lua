-- run_again: run a job again that ended without success. The answers are those of retry.
-- include: engine, audit_line, ended
-- ignore_parents: even if jobs that it comes after have not ended, or not succeeded.
local function run_again(id, note, ignore_parents)
  local key = job_key(id)
  local before, priority, limits, line, allowed_us, on_expiry, mark, words, policy, batch, ended_in =
    read_job(id, 'state', 'priority', 'limits', 'line', 'allowed_us', 'on_expiry', 'unique', 'then', 'on_failure', 'batch', 'ended_in')
  if not before or is_ticket(id) then return 'unknown' end
  if not FINAL[before] or before == 'succeeded' then return before end
  local own_node = not ignore_parents and (batch and '#' .. batch or policy and id)
  local waits_for_jobs = own_node and flows.pending(own_node) > 0
  if own_node and policy ~= 'run' and flows.unsuccessful(own_node) then return 'parents' end
  if mark then
    local holder = marks.holder(mark)
    if holder and holder ~= id then return 'duplicate ' .. holder end
    redis.call('HDEL', key, 'started') -- what says of a job with a mark that it has begun
    marks.take(mark, marks.until_of(mark, id), id)
  end
  ended.strike(id, before, ended_in)
  -- The max_wait of the first run does not end the second, and its deadline begins anew.
  redis.call('HDEL', key, 'error', 'reason', 'finished', 'failures', 'crashes', 'throttled', 'cancel', 'expires', 'on_expiry', 'held', 'bounced',
    'ended_in', 'ended_by', 'delay_us', 'max_wait_us')
  redis.call('PERSIST', key)
  if words then flows.run_again(id, words) end
  if number_in(allowed_us) then
    local deadline = int(now + number_in(allowed_us))
    redis.call('HSET', key, 'deadline', deadline, 'expires', deadline, 'on_expiry', on_expiry or 'expire')
    begin_wait(id, deadline)
  end
  local rank
  if limits then
    rank = rank_of(redis.call('INCR', prefix .. 'seq'), limits)
    redis.call('HSET', key, 'rank', int(rank))
  end
  is_due(id, now)
  -- A job that was cancelled or expired on a stream and not claimed yet still has its entry there: a second one would start it twice.
  local state = 'queued'
  if waits_for_jobs then
    flows.hold(id, 'jobs')
    state = 'waiting'
  elseif redis.call('HDEL', key, 'on_stream') == 0 then
    state = enqueue(id, number_in(priority), limits, line, rank)
  else
    redis.pcall('INCRBY', prefix .. 'ended_on_stream', -1)
  end
  if note then audit('retry', 'job ' .. id, before, state) end
  return state
end
