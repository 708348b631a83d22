-- finish: record what attempts came to. running -> succeeded, failed, cancelled, scheduled (retry) or queued (given back, or
-- throttled: the provider said wait, so the bucket is frozen for everybody and the attempt does not count).
-- Only the attempt that is running may speak: anything else is stale. Repeatable: a second call changes nothing.
-- KEYS: prefix
-- ARGV: worker, outcomes...
--   outcomes: for each priority, entry, id, attempt, ending (succeeded, failed, retry, throttled, cancelled, returned),
--   payload (JSON), delay_us (retry, throttled), ttl_ms (final states), settled ("bucket=tokens;..." really used, or ""),
--   bucket (throttled: the one to freeze)
-- Returns: for each outcome 'accepted', 'repeated' or 'stale'
-- include: _base, _conclude, _due

local STRIDE_ARGV = 10
local last = #ARGV
local answers = {}
local with_buckets, met = {}, {} -- outcomes that are recorded below, and their jobs

-- Free first: this is allowed, and makes room, even when memory is full.
local entries = { {}, {}, {} }
for at = outcomes_at, last, STRIDE_ARGV do
  local list = entries[ARGV[at] + 1]
  list[#list + 1] = ARGV[at + 1]
end
for priority = 1, 3 do delete_entries(STREAMS[priority], entries[priority]) end

-- The state this ending leaves a job in, if that tells that it was said before. A queued job can also have been taken back.
local function state_after(ending, cancelled)
  if cancelled and ending ~= 'succeeded' and ending ~= 'failed' then return 'cancelled' end
  if ending == 'retry' then return 'scheduled' end
  return FINAL[ending] and ending
end

-- Whether an outcome moves tokens, or brings the job back to where it may wait for some.
local function needs_buckets(at, limits)
  local ending = ARGV[at + 4]
  if ending == 'throttled' or ending == 'returned' then return true end
  return limits and (ARGV[at + 8] ~= '' or string.find(limits, '!', 1, true))
end

-- The job ends, or is scheduled for its retry; false: it goes back to where a job that has not started belongs.
local function record(at, id, key, f)
  local ending, payload = ARGV[at + 4], ARGV[at + 5]
  if f[5] then
    redis.call('SREM', cancels_key(worker), id)
    if ending ~= 'succeeded' and ending ~= 'failed' then ending = 'cancelled' end
  end
  if ending == 'succeeded' then
    conclude(id, f[3], 'succeeded', 'result', payload, f[2], f[4], ARGV[at + 7])
  elseif ending == 'failed' then
    conclude(id, f[3], 'failed', 'error', payload, f[2], f[4], ARGV[at + 7])
  elseif ending == 'cancelled' then
    conclude(id, f[3], 'cancelled', nil, nil, f[2], f[4], ARGV[at + 7])
  elseif ending == 'retry' then
    local due = now + tonumber(ARGV[at + 6])
    redis.call('HSET', key, 'state', 'scheduled', 'reason', 'retry', 'error', payload)
    redis.call('HINCRBY', key, 'failures', 1)
    note_due(due, prefix .. 'scheduled')
    redis.call('ZADD', prefix .. 'scheduled', int(due), id)
  else
    return false
  end
  return true
end

for at = outcomes_at, last, STRIDE_ARGV do
  local id, attempt = ARGV[at + 2], ARGV[at + 3]
  local key = job_key(id)
  local f = redis.call('HMGET', key, 'state', 'attempt', 'task', 'watched', 'cancel', 'limits', 'started')
  local answer = 'accepted'
  if f[2] ~= attempt or f[1] ~= 'running' then
    answer = (f[2] == attempt and f[1] == state_after(ARGV[at + 4], f[5])) and 'repeated' or 'stale'
  elseif met[id] then
    answer = 'repeated'
  elseif needs_buckets(at, f[6]) then
    with_buckets[#with_buckets + 1] = { at, id, key, f }
    met[id] = true
  else
    record(at, id, key, f)
  end
  answers[#answers + 1] = answer
end
if #with_buckets == 0 then
  nudge_leader()
  return answers
end

-- include from here on: _queue

local function settle(needs, settled, holder, started)
  for bucket, actual in string.gmatch(settled, '([^=;]+)=(%d+)') do
    for i = 1, #needs do
      local b = needs[i].bucket == bucket and load_bucket(bucket)
      if b and b.kind then
        b.kind.settle(b, needs[i].cost, tonumber(actual), holder, started)
        b.taken = true
      end
    end
  end
end

-- Nothing starts until the instant the provider named; a shorter wait never shortens a longer one.
local function freeze(bucket, wait_us, id)
  local b = load_bucket(bucket)
  if not b.kind or now + wait_us <= b.frozen_until then return end
  b.frozen_until, b.taken = now + wait_us, true
  b.kind.freeze(b, b.frozen_until)
  redis.call('HSET', bucket_key(bucket), 'frozen_by', 'job ' .. id)
end

-- Back to where a job that has not started belongs, at its old place.
local function put_back(id, key)
  redis.call('HSET', key, 'state', 'queued')
  local f = redis.call('HMGET', key, 'priority', 'limits', 'line', 'rank')
  enqueue(id, tonumber(f[1]), f[2], f[3], f[4] and tonumber(f[4]))
end

for _, outcome in ipairs(with_buckets) do
  local at, id, key, f = unpack(outcome)
  if f[6] and (ARGV[at + 8] ~= '' or string.find(f[6], '!', 1, true)) then
    local needs, holder = needs_of(f[6]), holder_of(id, f[2])
    settle(needs, ARGV[at + 8], holder, tonumber(f[7]))
    give_back_all(needs, holder)
    wake_waiters(needs)
  end
  if ARGV[at + 4] == 'throttled' then
    freeze(ARGV[at + 9], tonumber(ARGV[at + 6]), id)
    redis.call('HINCRBY', key, 'throttled', 1)
  end
  if not record(at, id, key, f) then put_back(id, key) end
end

flush_buckets()
nudge_leader()
return answers
