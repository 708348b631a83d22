-- finish: record what attempts came to. running -> succeeded, failed, cancelled, scheduled (retry) or queued (given back, or
-- throttled: the provider said wait, so the bucket is frozen for all jobs and the attempt does not count).
-- Only the attempt that is running can record an outcome: any other is stale. Repeatable: a second call changes nothing.
-- KEYS: prefix
-- ARGV: worker, runs...
--   runs: successive outcomes that differ only in job and payload: how many, then once for all of them priority,
--   ending (succeeded, failed, retry, throttled, cancelled, returned), delay_us (retry, throttled), ttl_ms (final states),
--   settled ("bucket=tokens;..." actually used, or ""), bucket (throttled: the one to freeze), then for each entry, id, attempt,
--   payload (JSON)
-- Returns: for each outcome 'accepted', 'repeated' or 'stale'
-- include: base, final_state, due_instants

local HEAD, AN_OUTCOME = 7, 4
local PRIORITY, ENDING, DELAY, TTL, SETTLED, BUCKET = 1, 2, 3, 4, 5, 6 -- places after the start of a run
local ID, ATTEMPT, PAYLOAD = 1, 2, 3 -- places after an entry
local last = #ARGV
local answers = {}
local with_buckets, met = {}, {} -- outcomes that are recorded in the second pass, and their jobs

-- Free memory first: Redis allows this even when memory is full, and it makes room.
local entries = { {}, {}, {} }
local run = runs_at
while run <= last do
  local list = entries[ARGV[run + PRIORITY] + 1]
  local next_run = run + HEAD + ARGV[run] * AN_OUTCOME
  for at = run + HEAD, next_run - 1, AN_OUTCOME do list[#list + 1] = ARGV[at] end
  run = next_run
end
for priority = 1, 3 do delete_entries(STREAMS[priority], entries[priority]) end

-- The state that shows that this ending was recorded before; none for endings that leave a job queued, as reclaim does too.
local function state_after(ending, cancelled)
  if cancelled and ending ~= 'succeeded' and ending ~= 'failed' then return 'cancelled' end
  if ending == 'retry' then return 'scheduled' end
  return FINAL[ending] and ending
end

-- Whether an outcome changes buckets, or returns the job to a place where it can wait for tokens.
local function needs_buckets(run, limits)
  local ending = ARGV[run + ENDING]
  if ending == 'throttled' or ending == 'returned' then return true end
  return limits and (ARGV[run + SETTLED] ~= '' or string.find(limits, '!', 1, true))
end

-- End the job, or schedule its retry. Returns false if it is to be put back instead.
local function record(run, id, payload, task, attempt, watched, cancelled)
  local ending = ARGV[run + ENDING]
  if cancelled then
    redis.call('SREM', cancels_key(worker), id)
    if ending ~= 'succeeded' and ending ~= 'failed' then ending = 'cancelled' end
  end
  if ending == 'succeeded' then
    conclude(id, task, 'succeeded', 'result', payload, attempt, watched, ARGV[run + TTL])
  elseif ending == 'failed' then
    conclude(id, task, 'failed', 'error', payload, attempt, watched, ARGV[run + TTL])
  elseif ending == 'cancelled' then
    conclude(id, task, 'cancelled', nil, nil, attempt, watched, ARGV[run + TTL])
  elseif ending == 'retry' then
    local due = now + tonumber(ARGV[run + DELAY])
    redis.call('HSET', job_key(id), 'state', 'scheduled', 'reason', 'retry', 'error', payload)
    redis.call('HINCRBY', job_key(id), 'failures', 1)
    note_due(due, prefix .. 'scheduled')
    redis.call('ZADD', prefix .. 'scheduled', int(due), id)
  else
    return false
  end
  return true
end

run = runs_at
while run <= last do
  local next_run = run + HEAD + ARGV[run] * AN_OUTCOME
  for at = run + HEAD, next_run - 1, AN_OUTCOME do
    local id, attempt, payload = ARGV[at + ID], ARGV[at + ATTEMPT], ARGV[at + PAYLOAD]
    local state, latest, task, watched, cancelled, limits, started =
      read_job(id, 'state', 'attempt', 'task', 'watched', 'cancel', 'limits', 'started')
    local answer = 'accepted'
    if latest ~= attempt or state ~= 'running' then
      answer = (latest == attempt and state == state_after(ARGV[run + ENDING], cancelled)) and 'repeated' or 'stale'
    elseif met[id] then
      answer = 'repeated'
    elseif needs_buckets(run, limits) then
      with_buckets[#with_buckets + 1] = { run, id, payload, task, attempt, watched, cancelled, limits, started }
      met[id] = true
    else
      record(run, id, payload, task, attempt, watched, cancelled)
    end
    answers[#answers + 1] = answer
  end
  run = next_run
end
if #with_buckets == 0 then
  nudge_leader()
  return answers
end

-- include from here on: engine

local function settle(needs, settled, holder, started)
  for bucket, actual in string.gmatch(settled, '([^=;]+)=(%d+)') do
    for i = 1, #needs do
      local need = needs[i]
      local b = need.bucket == bucket and load_bucket(bucket)
      if b and b.kind then
        b.kind.settle(b, need.cost, tonumber(actual), holder, started)
        b.taken = true
      end
    end
  end
end

-- Nothing starts until the instant that the provider named. A shorter wait never shortens a longer one.
local function freeze(bucket, wait_us, id)
  local b = load_bucket(bucket)
  if not b.kind or now + wait_us <= b.frozen_until then return end
  b.frozen_until, b.taken = now + wait_us, true
  b.kind.freeze(b, b.frozen_until)
  redis.call('HSET', bucket_key(bucket), 'frozen_by', 'the provider of job ' .. id .. ' said wait')
end

-- Return a job to its stream, or to its old place in its line.
local function put_back(id)
  redis.call('HSET', job_key(id), 'state', 'queued')
  local priority, limits, line, rank = read_job(id, 'priority', 'limits', 'line', 'rank')
  enqueue(id, tonumber(priority), limits, line, tonumber(rank))
end

for _, outcome in ipairs(with_buckets) do
  local its_run, id, payload, task, attempt, watched, cancelled, limits, started = unpack(outcome)
  if limits and (ARGV[its_run + SETTLED] ~= '' or string.find(limits, '!', 1, true)) then
    local needs, holder = needs_of(limits), holder_of(id, attempt)
    settle(needs, ARGV[its_run + SETTLED], holder, tonumber(started))
    give_back_all(needs, holder)
    wake_waiters(needs)
  end
  if ARGV[its_run + ENDING] == 'throttled' then
    freeze(ARGV[its_run + BUCKET], tonumber(ARGV[its_run + DELAY]), id)
    redis.call('HINCRBY', job_key(id), 'throttled', 1)
  end
  if not record(its_run, id, payload, task, attempt, watched, cancelled) then put_back(id) end
end

flush_buckets()
nudge_leader()
return answers
