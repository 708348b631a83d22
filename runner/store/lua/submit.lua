-- submit: accept jobs. (new) -> queued, waiting or scheduled. Repeatable: the same id with the same task and arguments is the
-- existing job; with others it is a conflict, and only that job is not stored. Arguments are the same if the fingerprints of the
-- two calls are, however they were spelled; without fingerprints if their JSON is.
-- KEYS: prefix
-- ARGV: most_backlog (-1: no cap), whole (0 or 1), following (jobs), count (jobs), runs...
--   whole: 1 stores all new jobs or, if they do not fit under the cap, none; 0 stores each as long as there is room
--   following: new jobs of the same batch in later calls
--   runs: successive jobs that differ only in id and arguments: how many, then once for all of them task,
--   limits ("bucket=cost;..." or ""), line, priority (0 high, 1, 2), delay_us (negative: an instant), max_wait_us (0: for ever),
--   on_expiry ('expire' or 'fail'), deadline_us (0: none), spec (what the limits come from, as a digest), has_call (0, 1 or 2), then for each
--   id, args (JSON), with has_call the fingerprint of the call ('' if it has none), and with 2 its metadata (JSON)
-- Returns: for each job its first state ('queued', 'waiting', 'scheduled' or 'failed'), or 'existing', 'conflict' or 'full': no room for
--   it; at the end, only if there was not room for all, how many jobs there are. A caller that cannot work here gets why:
--   see `unfit` in include/format
-- full: refused
-- include: base, ranks, due_instants, format, held

local refused = unfit()
if refused then return refused end

local HEAD = 11
local DEADLINE, SPEC, HAS_CALL = 8, 9, 10 -- places after the start of a run
local jobs = tonumber(count)
check_count(jobs)
local answers = {}
local sequence
local submitted = int(now)
local lined = {} -- the first job that needs tokens and all after it: whether they wait is decided in the second pass

local unended
local room = math.huge
if most_backlog ~= '-1' then
  -- Jobs that have not ended: scheduled, waiting in a line, on a stream, or waiting for a worker that can run them.
  unended = redis.call('ZCARD', prefix .. 'scheduled') + math.max(tonumber(redis.call('GET', prefix .. 'waiting') or 0), 0)
  for _, stream in ipairs(STREAMS) do unended = unended + redis.call('XLEN', stream) end
  unended = unended + held.count()
  room = tonumber(most_backlog) - unended
  if whole == '1' and room < tonumber(following) + jobs then
    local new, at = tonumber(following) + jobs, runs_at
    while at <= #ARGV do
      local width = 2 + ARGV[at + HAS_CALL]
      local next_run = at + HEAD + ARGV[at] * width
      for id_at = at + HEAD, next_run - 1, width do new = new - redis.call('EXISTS', job_key(ARGV[id_at])) end
      at = next_run
    end
    if new > room then
      room = 0
      answers[jobs + 1] = unended
    end
  end
end

local n, at = 0, runs_at
while at <= #ARGV do
  local task, limits, priority = ARGV[at + 1], ARGV[at + 2], ARGV[at + 4]
  local delay_us, max_wait_us = tonumber(ARGV[at + 5]), math.min(tonumber(ARGV[at + 6]), YEAR_US)
  if delay_us < 0 then delay_us = math.max(-delay_us - now, 0) end
  delay_us = math.min(delay_us, YEAR_US)
  local deadline_us = math.min(tonumber(ARGV[at + DEADLINE]), YEAR_US)
  local code = limits ~= '' and cost_code(limits)
  local state = delay_us > 0 and 'scheduled' or 'queued'
  local spec, width = ARGV[at + SPEC], 2 + ARGV[at + HAS_CALL]
  local next_run = at + HEAD + ARGV[at] * width
  for id_at = at + HEAD, next_run - 1, width do
    local id, args = ARGV[id_at], ARGV[id_at + 1]
    local call = width > 2 and ARGV[id_at + 2] ~= '' and ARGV[id_at + 2]
    local key = job_key(id)
    n = n + 1
    if redis.call('EXISTS', key) == 1 then
      local known_task, known_args, known_call = read_job(id, 'task', 'args', 'call')
      local is_same = known_task == task and known_args == args
      if call and known_call then is_same = known_call == call end
      answers[n] = is_same and 'existing' or 'conflict'
    elseif room <= 0 then
      answers[n] = 'full'
      answers[jobs + 1] = unended
    else
      local rank
      room = room - 1
      if limits == '' then
        redis.call('HSET', key, 'task', task, 'args', args, 'state', state, 'priority', priority, 'submitted', submitted,
          'spec', spec)
      else
        if not sequence then sequence = redis.call('INCRBY', prefix .. 'seq', jobs) - jobs end
        sequence = sequence + 1
        rank = sequence * RANK + code
        redis.call('HSET', key, 'task', task, 'args', args, 'state', state, 'priority', priority, 'submitted', submitted,
          'spec', spec, 'limits', limits, 'line', ARGV[at + 3], 'rank', int(rank))
      end
      if call then redis.call('HSET', key, 'call', call) end
      if width == 4 then redis.call('HSET', key, 'metadata', ARGV[id_at + 3]) end
      if max_wait_us > 0 or deadline_us > 0 then
        local expires = max_wait_us > 0 and now + delay_us + max_wait_us
        if deadline_us > 0 then
          expires = math.min(expires or math.huge, now + deadline_us)
          redis.call('HSET', key, 'deadline', int(now + deadline_us), 'allowed_us', int(deadline_us))
        end
        redis.call('HSET', key, 'expires', int(expires), 'on_expiry', ARGV[at + 7])
        note_due(expires, prefix .. 'expiring')
        redis.call('ZADD', prefix .. 'expiring', int(expires), id)
      end
      if state == 'scheduled' then
        note_due(now + delay_us, prefix .. 'scheduled')
        redis.call('ZADD', prefix .. 'scheduled', int(now + delay_us), id)
      elseif rank or #lined > 0 then
        lined[#lined + 1] = { n, at, id, rank }
      else
        add_to_stream(priority, id)
      end
      answers[n] = state
    end
  end
  at = next_run
end
if #lined == 0 then
  nudge_leader()
  return answers
end

-- include from here on: engine

for _, job in ipairs(lined) do
  local place, run_at, id, rank = unpack(job, 1, 4)
  answers[place] = enqueue(id, tonumber(ARGV[run_at + 4]), rank and ARGV[run_at + 2], ARGV[run_at + 3], rank)
end
flush()
nudge_leader()
return answers
