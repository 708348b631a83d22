-- finish: record what attempts came to. running -> succeeded, failed, cancelled, scheduled (retry) or queued (given back).
-- Only the attempt that is running may speak: anything else is stale. Repeatable: a second call changes nothing.
-- KEYS: prefix
-- ARGV: now_us, window_size, history_length, worker, outcomes...
--   outcomes: for each priority, entry, id, attempt, ending (succeeded, failed, retry, cancelled, returned), payload (JSON),
--   delay_us (retry), ttl_ms (final states)
-- Returns: for each outcome 'accepted', 'repeated' or 'stale'
-- include: _base, _bucket, _token_bucket, _lines, _conclude

local STRIDE_ARGV = 8
local last = #ARGV
local answers = {}

-- Free first: this is allowed, and makes room, even when memory is full.
local entries = { {}, {}, {} }
for at = outcomes_at, last, STRIDE_ARGV do
  local list = entries[ARGV[at] + 1]
  list[#list + 1] = ARGV[at + 1]
end
for priority = 1, 3 do delete_entries(STREAMS[priority], entries[priority]) end

-- The state this ending leaves a job in, if that tells that it was said before. A queued job can also have been taken back.
local function state_after(ending, cancelled)
  if cancelled and (ending == 'retry' or ending == 'returned') then return 'cancelled' end
  if ending == 'retry' then return 'scheduled' end
  return FINAL[ending] and ending
end

for at = outcomes_at, last, STRIDE_ARGV do
  local id, attempt, ending, payload = ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5]
  local key = job_key(id)
  local f = redis.call('HMGET', key, 'state', 'attempt', 'task', 'watched', 'cancel')
  local answer = 'accepted'
  if f[2] ~= attempt or f[1] ~= 'running' then
    answer = (f[2] == attempt and f[1] == state_after(ending, f[5])) and 'repeated' or 'stale'
  else
    if f[5] then
      redis.call('SREM', cancels_key(worker), id)
      if ending == 'retry' or ending == 'returned' then ending, payload = 'cancelled', '' end
    end
    if ending == 'succeeded' then
      conclude(id, f[3], 'succeeded', 'result', payload, attempt, f[4], ARGV[at + 7])
    elseif ending == 'failed' then
      conclude(id, f[3], 'failed', 'error', payload, attempt, f[4], ARGV[at + 7])
    elseif ending == 'cancelled' then
      conclude(id, f[3], 'cancelled', nil, nil, attempt, f[4], ARGV[at + 7])
    elseif ending == 'retry' then
      local due = now + tonumber(ARGV[at + 6])
      redis.call('HSET', key, 'state', 'scheduled', 'reason', 'retry', 'error', payload)
      redis.call('HINCRBY', key, 'failures', 1)
      note_due(due, prefix .. 'scheduled')
      redis.call('ZADD', prefix .. 'scheduled', int(due), id)
    else
      redis.call('HSET', key, 'state', 'queued')
      local j = redis.call('HMGET', key, 'priority', 'limits', 'line', 'rank')
      enqueue(id, tonumber(j[1]), j[2], j[3], j[4] and tonumber(j[4]))
    end
  end
  answers[#answers + 1] = answer
end

flush_buckets()
nudge_leader()
return answers
