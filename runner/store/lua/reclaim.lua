-- reclaim: take jobs back from lapsed workers. running -> queued, cancelled or failed (poison: at least max_crashes workers were lost
-- while they ran the job, and the last of them ran nothing else, so no job fails for what ran alongside it). A job that a worker had
-- read but not started goes back without a crash counted. Only an empty consumer is removed: removing one with pending entries would
-- orphan them. A lapsed worker is condemned first (score 0), so it cannot renew its lease between two calls.
-- A call that comes after `not_after_us` does nothing: it stood in the server's queue, and so did the renewals of those that seem lapsed.
-- KEYS: prefix
-- ARGV: budget (entries), not_after_us (0: whenever it comes)
-- Returns: entries taken back (-1: it came too late), workers removed, jobs given up as poison
-- include: engine, known_pools, worker_turn, pending_entries, take_back

if tonumber(not_after_us) > 0 and now > tonumber(not_after_us) then return { -1, 0, 0 } end

local WORKERS = prefix .. 'workers'
local left, removed = tonumber(budget), 0

-- Consumers without a record (it was deleted by hand) count as lapsed too.
local all_streams = every_stream()
for _, stream in ipairs(all_streams) do
  local consumers = redis.pcall('XINFO', 'CONSUMERS', stream, GROUP)
  if not consumers.err then
    local words = {}
    for _, row in ipairs(consumers) do words[#words + 1], words[#words + 2] = 0, row[2] end
    for at = 1, #words, MOST_UNPACKED do
      redis.call('ZADD', WORKERS, 'NX', unpack(words, at, math.min(at + MOST_UNPACKED - 1, #words)))
    end
  end
end

local function take_back(lapsed, priority, id, alone)
  local state, worker, task, attempt, watched, cancelled, limits, line, rank, expires =
    read_job(id, 'state', 'worker', 'task', 'attempt', 'watched', 'cancel', 'limits', 'line', 'rank', 'expires')
  local needs = limits and needs_of(limits)
  if state == 'queued' or FINAL[state] then
    if state ~= 'queued' then return leave_stream(id, needs) end
    if needs then free_reservation(needs) end
  elseif state == 'running' and worker == lapsed then
    if not end_lost_attempt(id, task, attempt, watched, cancelled, needs, expires, alone) then return end
  else
    return
  end
  enqueue(id, priority, limits, line, number_in(rank))
end

for _, lapsed in ipairs(redis.call('ZRANGEBYSCORE', WORKERS, '-inf', int(now), 'LIMIT', 0, 100)) do
  redis.call('ZADD', WORKERS, 0, lapsed)
  local its_turn, its_pools = unpack(redis.call('HMGET', worker_key(lapsed), 'turn', 'pools'))
  local begun = its_turn == int(LAPSED) -- an earlier call has taken some of its jobs back
  local streams = its_turn and streams_of(its_pools or '') or all_streams
  if redis.call('EXISTS', worker_key(lapsed)) == 1 then redis.call('HSET', worker_key(lapsed), 'turn', int(LAPSED)) end
  local taken, ran = {}, 0
  for number, stream in ipairs(streams) do
    if left > 0 then
      for _, row in ipairs(pending_of(stream, lapsed, left)) do
        local id = take_entry(stream, row[1])
        if id then
          taken[#taken + 1] = { (number - 1) % 3, id }
          if read_job(id, 'state') == 'running' then ran = ran + 1 end
        end
        left = left - 1
      end
    end
  end
  for _, job in ipairs(taken) do take_back(lapsed, job[1], job[2], ran == 1 and not begun and left > 0) end
  if left <= 0 then break end
  dismiss(lapsed, streams)
  removed = removed + 1
end

flush()
nudge_leader()
return { tonumber(budget) - left, removed, poisoned }
