-- reconcile: a worker lists the entries it has in hand; every other pending entry goes back, as after a lost reply. running -> queued,
-- waiting or cancelled. Those attempts never began: their tokens go back too, as far as the limits allow, and a job that was asked to
-- stop is cancelled.
-- One call looks at a part of the entries: those after `after`, in the order of stream and id, up to the last in hand if there are more.
-- With `leave` the worker signs off: its consumer and its record are removed.
-- KEYS: prefix
-- ARGV: worker, turn, leave (0 or 1), result_ttl_ms, from_stream, after ('': the first), more (0 or 1), in_hand...
--   from_stream, after: number of the stream and entry up to which earlier calls have looked
--   more: 1 if more is in hand than fits into this call
--   in_hand: for each attempt after `after` that the worker runs or has an outcome of: stream, entry (ids of two streams can be the same)
-- Returns: entries given back, then stream and entry up to which this call has looked; nothing further if it has seen all
-- include: engine, own_streams, worker_turn, pending_entries, refunds

check_count((#ARGV - in_hand_at + 1) / 2)
if not redis.call('ZSCORE', prefix .. 'workers', worker) or refusal_of(worker, turn) then return { 0 } end
redis.call('HSET', worker_key(worker), 'turn', turn)

local kept = {}
for number = 1, #OWN do kept[number] = {} end
for at = in_hand_at, #ARGV, 2 do kept[ARGV[at] + 1][ARGV[at + 1]] = true end
local back = {} -- jobs that go back to a stream or a line, once all tokens are back

local function give_back(id, priority)
  local state, runs_at, limits, line, rank, started, cancelled, task, attempt, watched, expires =
    read_job(id, 'state', 'worker', 'limits', 'line', 'rank', 'started', 'cancel', 'task', 'attempt', 'watched', 'expires')
  local needs = limits and needs_of(limits)
  if state == 'running' and runs_at == worker then
    if needs then refunds.undo_start(id, attempt, needs, number_in(started)) end
    if cancelled then
      redis.call('SREM', cancels_key(worker), id)
      return conclude(id, task, 'cancelled', nil, nil, attempt, watched, result_ttl_ms)
    end
    redis.call('HSET', job_key(id), 'state', 'queued')
    begin_wait(id, expires)
  elseif state == 'queued' or FINAL[state] then
    if state ~= 'queued' then return leave_stream(id, needs) end
    if needs then free_reservation(needs) end
  else
    return
  end
  back[#back + 1] = { id = id, priority = priority, limits = limits, line = line, rank = number_in(rank) }
end

local looked, reached = 0, nil

-- Give back what is pending on one stream, in this range; where to go on if the call has done enough before its end.
local function look_through(number, first, last)
  for _, row in ipairs(pending_of(OWN[number + 1], worker, MOST_ENTRIES, first, last)) do
    local entry = row[1]
    looked = looked + 1
    if not kept[number + 1][entry] then
      local id = take_entry(OWN[number + 1], entry)
      if id then give_back(id, number % 3) end
      looked = looked + 4 -- to move a job takes as long as so many entries
    end
    if is_enough(looked) then return { number, entry } end
  end
end

local last_stream, last_entry = #OWN - 1, '+'
if more == '1' then last_stream, last_entry = tonumber(ARGV[#ARGV - 1]), ARGV[#ARGV] end
for number = tonumber(from_stream), last_stream do
  local first = number == tonumber(from_stream) and after ~= '' and '(' .. after or '-'
  reached = look_through(number, first, number == last_stream and last_entry or '+')
  if reached then break end
end
if not reached and more == '1' then reached = { last_stream, last_entry } end
refunds.complete()
for _, job in ipairs(back) do enqueue(job.id, job.priority, job.limits, job.line, job.rank) end

if leave == '1' and not reached then
  local held = 0
  for _, stream in ipairs(OWN) do held = held + #pending_of(stream, worker, 1) end
  if held == 0 then dismiss(worker, OWN) end
end

flush()
nudge_leader()
return { #back, unpack(reached or {}) }
