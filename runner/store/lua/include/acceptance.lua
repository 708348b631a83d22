-- acceptance: store the jobs of a run, and put each where it belongs. A run is successive jobs that differ in their own words only: how many,
-- then once for all of them task, limits ("bucket=cost;..." or ""), line ("" or "#pool" without limits), priority (0 high, 1, 2), delay_us (negative: an instant),
-- max_wait_us (0: for ever), on_expiry ('expire' or 'fail'), deadline_us (0: none), spec (what the limits come from, as a digest), more (0 to
-- 3), then for each id, args (JSON), and so many more words: the fingerprint of its call ('': none), its metadata (JSON; '': none), and what
-- features know of it (JSON, see include/features).
-- include: base, ranks, due_instants, minute_counts, known_pools
local HEAD = 11
local TASK, LIMITS, LINE, PRIORITY, DELAY, MAX_WAIT, ON_EXPIRY, DEADLINE, SPEC, MORE = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 -- places after the start of a run
local ARGS, CALL, METADATA, OWN = 1, 2, 3, 4 -- places after the id of a job
local FEATURES_WIDTH = 5 -- words of a job of which features know something

local answers = {} -- for each job of the call, in their order
local jobs, looked_at = 0, 0 -- of the call: to be said by the script; and how many of them were looked at
local unended, room = nil, math.huge -- jobs that have not ended, if that counts; how many may be stored
local lined = {} -- the first job that needs tokens and all after it: where they go is decided once the engine is there
local place -- the engine's `enqueue`, once it is there
local features -- see include/features
local sequence

-- How many words a job of this run has, and where the next run begins.
local function extent(run)
  local width = 2 + ARGV[run + MORE]
  return width, run + HEAD + ARGV[run] * width
end

-- What a submission is whose id is taken.
local function repetition(id, task, args, call)
  local known_task, known_args, known_call, replaced = read_job(id, 'task', 'args', 'call', 'replaced')
  local is_same = known_task == task and known_args == args
  if call and known_call then is_same = known_call == call end
  if replaced then is_same = known_task == task end -- by what came later
  return is_same and 'existing' or 'conflict'
end

-- Note until when a job may wait.
local function bound_wait(key, id, run, delay_us, max_wait_us, deadline_us)
  local expires = max_wait_us > 0 and now + delay_us + max_wait_us
  if deadline_us > 0 then
    expires = math.min(expires or math.huge, now + deadline_us)
    redis.call('HSET', key, 'deadline', int(now + deadline_us), 'allowed_us', int(deadline_us))
  end
  redis.call('HSET', key, 'expires', int(expires), 'on_expiry', ARGV[run + ON_EXPIRY])
  note_due(expires, prefix .. 'expiring')
  redis.call('ZADD', prefix .. 'expiring', int(expires), id)
end

-- The delay and the max_wait of a held job begin when it is let go; its deadline begins now.
local function bound_held_wait(key, id, run, delay_us, max_wait_us, deadline_us)
  if delay_us > 0 then redis.call('HSET', key, 'delay_us', int(delay_us)) end
  if max_wait_us > 0 then redis.call('HSET', key, 'max_wait_us', int(max_wait_us), 'on_expiry', ARGV[run + ON_EXPIRY]) end
  if deadline_us > 0 then bound_wait(key, id, run, 0, 0, deadline_us) end
end

-- Accept the jobs of one run; where the next one begins.
local function accept(run)
  -- Not by the names of their places: to make a function takes the longer, in each call, the more names of those around it that it uses.
  local task, limits, line, priority, delay_us, max_wait_us, _, deadline_us, spec = unpack(ARGV, run + 1, run + 9)
  delay_us, max_wait_us = tonumber(delay_us), math.min(tonumber(max_wait_us), YEAR_US)
  if delay_us < 0 then delay_us = math.max(-delay_us - now, 0) end
  delay_us = math.min(delay_us, YEAR_US)
  deadline_us = math.min(tonumber(deadline_us), YEAR_US)
  local code = limits ~= '' and cost_code(limits)
  local submitted, first_state = now_text, delay_us > 0 and 'scheduled' or 'queued'
  local pool = pool_of(line)
  local has_pool = not pool or note_pool(pool)
  local width, next_run = extent(run)
  local new, known = 0, 0
  for id_at = run + HEAD, next_run - 1, width do
    local id, args, call, metadata, own = unpack(ARGV, id_at, id_at + width - 1)
    if call == '' then call = nil end
    local key, state, job, answer = job_key(id), first_state, nil, nil
    looked_at = looked_at + 1
    if redis.call('EXISTS', key) == 1 then
      answer, known = repetition(id, task, args, call), known + 1
    elseif own then
      job = features.of(run, id_at, delay_us)
      answer = job.answer
      if answer then known = known + 1 end
    end
    if not answer and not has_pool then answer = 'pools' end
    if not answer and room <= 0 then
      answer = 'full'
      answers[jobs + 1] = unended
    end
    if not answer then
      local rank
      room, new = room - 1, new + 1
      if job and job.held then state = 'scheduled' end
      if limits == '' then
        redis.call('HSET', key, 'task', task, 'args', args, 'state', state, 'priority', priority, 'submitted', submitted,
          'spec', spec)
        if pool then redis.call('HSET', key, 'line', line) end
      else
        if not sequence then sequence = redis.call('INCRBY', prefix .. 'seq', jobs) - jobs end
        sequence = sequence + 1
        rank = sequence * RANK + code
        redis.call('HSET', key, 'task', task, 'args', args, 'state', state, 'priority', priority, 'submitted', submitted,
          'spec', spec, 'limits', limits, 'line', line, 'rank', int(rank))
      end
      if call then redis.call('HSET', key, 'call', call) end
      if metadata and metadata ~= '' then redis.call('HSET', key, 'metadata', metadata) end
      if job then features.store(job) end
      answer = state
      if job and job.held then
        answer = 'waiting'
        bound_held_wait(key, id, run, delay_us, max_wait_us, deadline_us)
      else
        if max_wait_us > 0 or deadline_us > 0 then bound_wait(key, id, run, delay_us, max_wait_us, deadline_us) end
        if state == 'scheduled' then
          note_due(now + delay_us, prefix .. 'scheduled')
          redis.call('ZADD', prefix .. 'scheduled', int(now + delay_us), id)
        elseif place then
          answer = place(id, tonumber(priority), rank and limits, line, rank)
        elseif rank or #lined > 0 then
          lined[#lined + 1] = { looked_at, run, id, rank }
        else
          add_to_stream(priority, id, line)
        end
      end
    end
    answers[looked_at] = answer
  end
  if counting == '1' then
    if new > 0 then add_to_minute('t:' .. task .. '|u', new) end
    if known > 0 then add_to_minute('t:' .. task .. '|d', known) end
  end
  return next_run
end

-- The engine is there: what needs tokens goes to its place, in order, and what is accepted from here on at once.
local function place_by(enqueue)
  place = enqueue
  for _, job in ipairs(lined) do
    local number, run, id, rank = unpack(job, 1, 4)
    answers[number] = place(id, tonumber(ARGV[run + PRIORITY]), rank and ARGV[run + LIMITS], ARGV[run + LINE], rank)
  end
end
