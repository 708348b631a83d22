-- reconcile: a worker lists the entries it has in hand; every other pending entry goes back, as after a lost reply. running -> queued,
-- waiting or cancelled. Those attempts never began: their tokens go back too, as far as the limits allow, and a job that was asked to
-- stop is cancelled.
-- With `leave` the worker signs off: its consumer and its record are removed.
-- KEYS: prefix
-- ARGV: worker, turn, leave (0 or 1), result_ttl_ms, in_hand...
--   in_hand: for each attempt that the worker runs or has an outcome of: priority, entry (ids of two streams can be the same)
-- Returns: entries given back
-- include: engine, worker_turn, pending_entries

if not redis.call('ZSCORE', prefix .. 'workers', worker) or refusal_of(worker, turn) then return 0 end
redis.call('HSET', worker_key(worker), 'turn', turn)

local kept = { {}, {}, {} }
for at = in_hand_at, #ARGV, 2 do kept[ARGV[at] + 1][ARGV[at + 1]] = true end
local back = {} -- jobs that go back to a stream or a line, once all tokens are back
local refunded = {}

-- An attempt that never began is not a start: where starts are logged, as in tests, it is removed from the log.
local function strike_from_log(id, attempt)
  for _, row in ipairs(redis.call('XREVRANGE', prefix .. 'starts', '+', '-', 'COUNT', 1000)) do
    if row[2][2] == id and row[2][6] == attempt then redis.call('XDEL', prefix .. 'starts', row[1]) end
  end
end

local function give_back(id, priority)
  local state, runs_at, limits, line, rank, started, cancelled, task, attempt, watched =
    read_job(id, 'state', 'worker', 'limits', 'line', 'rank', 'started', 'cancel', 'task', 'attempt', 'watched')
  local needs = limits and needs_of(limits)
  if state == 'running' and runs_at == worker then
    if needs then
      refund_all(needs, holder_of(id, attempt), tonumber(started))
      refunded[#refunded + 1] = needs
      strike_from_log(id, attempt)
    end
    if cancelled then
      redis.call('SREM', cancels_key(worker), id)
      return conclude(id, task, 'cancelled', nil, nil, attempt, watched, result_ttl_ms)
    end
    redis.call('HSET', job_key(id), 'state', 'queued')
  elseif state == 'queued' or FINAL[state] then
    if state ~= 'queued' then return leave_stream(id, needs) end
    if needs then free_reservation(needs) end
  else
    return
  end
  back[#back + 1] = { id = id, priority = priority, limits = limits, line = line, rank = tonumber(rank) }
end

for priority = 0, 2 do
  for _, row in ipairs(pending_of(priority, worker, 100000)) do
    if not kept[priority + 1][row[1]] then
      local id = take_entry(priority, row[1])
      if id then give_back(id, priority) end
    end
  end
end
complete_refunds()
for _, needs in ipairs(refunded) do wake_waiters(needs) end
for _, job in ipairs(back) do enqueue(job.id, job.priority, job.limits, job.line, job.rank) end

if leave == '1' then
  local held = 0
  for priority = 0, 2 do held = held + #pending_of(priority, worker, 1) end
  if held == 0 then dismiss(worker) end
end

flush_buckets()
nudge_leader()
return #back
