-- submit: accept jobs. (new) -> queued, waiting or scheduled. Repeatable: the same id with the same task and arguments is the
-- job that exists; with others it is a conflict, and that job alone is not stored.
-- KEYS: prefix
-- ARGV: most_backlog (-1: no cap), whole (0 or 1), behind (jobs), jobs...
--   whole: all that are new fit under the cap or none is stored, else each as long as there is room
--   behind: new jobs of the same batch that follow in other calls
--   jobs: for each id, task, args (JSON), limits ("bucket=cost;..." or ""), line, priority (0 high, 1, 2), delay_us,
--   max_wait_us (0: for ever), on_expiry ('expire' or 'fail')
-- Returns: for each job its first state ('queued', 'waiting' or 'scheduled'), or 'existing' or 'conflict', or 'full': no room for
--   it; at the end, only if there was not room for all, how many jobs there are. Of a caller that is too old for this queue
--   'outdated', the newest format in use, the oldest allowed
-- full: refused
-- include: _base, _due, _format

local refused = outdated()
if refused then return refused end

local STRIDE_ARGV = 9
local count = (#ARGV - jobs_at + 1) / STRIDE_ARGV
local answers = {}
local sequence
local submitted = int(now)
local lined = {} -- from the first that needs tokens on, in their order: ready or waiting is decided below

local unended
local room = math.huge
if most_backlog ~= '-1' then
  -- Jobs that have not ended: scheduled, waiting in a line, or on a stream.
  unended = redis.call('ZCARD', prefix .. 'scheduled') + math.max(tonumber(redis.call('GET', prefix .. 'waiting') or 0), 0)
  for _, stream in ipairs(STREAMS) do unended = unended + redis.call('XLEN', stream) end
  room = tonumber(most_backlog) - unended
  local new = tonumber(behind)
  if whole == '1' and room < new + count then
    for n = 1, count do new = new + 1 - redis.call('EXISTS', job_key(ARGV[jobs_at + (n - 1) * STRIDE_ARGV])) end
    if new > room then
      room = 0
      answers[count + 1] = unended
    end
  end
end

for n = 1, count do
  local at = jobs_at + (n - 1) * STRIDE_ARGV
  local id, task, args, limits = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local priority, delay_us = ARGV[at + 5], tonumber(ARGV[at + 6])
  local key = job_key(id)
  if redis.call('EXISTS', key) == 1 then
    local existing = redis.call('HMGET', key, 'task', 'args')
    answers[n] = (existing[1] == task and existing[2] == args) and 'existing' or 'conflict'
  elseif room <= 0 then
    answers[n] = 'full'
    answers[count + 1] = unended
  else
    local state = delay_us > 0 and 'scheduled' or 'queued'
    local rank
    room = room - 1
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
