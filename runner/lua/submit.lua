-- submit: accept jobs. (new) -> queued, waiting or scheduled. Repeatable: the same id with the same task and arguments is the
-- job that exists; with others it is a conflict, and that job alone is not stored.
-- KEYS: prefix
-- ARGV: jobs...
--   jobs: for each id, task, args (JSON), limits ("bucket=cost;..." or ""), line, priority (0 high, 1, 2), delay_us,
--   max_wait_us (0: for ever), on_expiry ('expire' or 'fail')
-- Returns: for each job its first state ('queued', 'waiting' or 'scheduled'), or 'existing' or 'conflict'; of a caller that is
--   too old for this queue 'outdated', the newest format in use, the oldest allowed
-- include: _base, _due, _format

local refused = outdated()
if refused then return refused end

local STRIDE_ARGV = 9
local count = (#ARGV - jobs_at + 1) / STRIDE_ARGV
local answers = {}
local sequence
local submitted = int(now)
local lined = {} -- from the first that needs tokens on, in their order: ready or waiting is decided below

for n = 1, count do
  local at = jobs_at + (n - 1) * STRIDE_ARGV
  local id, task, args, limits = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local priority, delay_us = ARGV[at + 5], tonumber(ARGV[at + 6])
  local key = job_key(id)
  if redis.call('EXISTS', key) == 1 then
    local existing = redis.call('HMGET', key, 'task', 'args')
    answers[n] = (existing[1] == task and existing[2] == args) and 'existing' or 'conflict'
  else
    local state = delay_us > 0 and 'scheduled' or 'queued'
    local rank
    if limits == '' then
      redis.call('HSET', key, 'task', task, 'args', args, 'state', state, 'priority', priority, 'submitted', submitted)
    else
      if not sequence then sequence = redis.call('INCRBY', prefix .. 'seq', count) - count end
      sequence = sequence + 1
      rank = priority * STEP + sequence
      redis.call('HSET', key, 'task', task, 'args', args, 'state', state, 'priority', priority, 'submitted', submitted,
        'limits', limits, 'line', ARGV[at + 4], 'rank', int(rank))
    end
    if ARGV[at + 7] ~= '0' then
      local expires = now + delay_us + tonumber(ARGV[at + 7])
      redis.call('HSET', key, 'expires', int(expires), 'on_expiry', ARGV[at + 8])
      note_due(expires, prefix .. 'expiring')
      redis.call('ZADD', prefix .. 'expiring', int(expires), id)
    end
    if state == 'scheduled' then
      note_due(now + delay_us, prefix .. 'scheduled')
      redis.call('ZADD', prefix .. 'scheduled', int(now + delay_us), id)
    elseif rank or #lined > 0 then
      lined[#lined + 1] = { n, at, rank }
    else
      add_to_stream(priority, id)
    end
    answers[n] = state
  end
end
if #lined == 0 then
  nudge_leader()
  return answers
end

-- include from here on: _queue

for _, job in ipairs(lined) do
  local n, at, rank = job[1], job[2], job[3]
  answers[n] = enqueue(ARGV[at], tonumber(ARGV[at + 5]), rank and ARGV[at + 3], ARGV[at + 4], rank)
end
flush_buckets()
nudge_leader()
return answers
