-- claim: start ready jobs for a worker, each with its tokens: all of them or none, taken in the same step that makes the job running.
-- queued -> running; queued -> waiting when a token is not there after all; waiting -> queued for those whose tokens have landed. A job of a pool
-- that this claim does not read goes to the streams of its own.
-- KEYS: prefix
-- ARGV: worker, turn, free (slots; one call fills a part of many), read_more (0 or 1), look (0, 1 or 2), seen, normal_owed, low_owed, alone (1: the worker runs nothing), unserved, in_processes, max_crashes, held...
--   read_more: 0 starts what is held, and reads from the streams only if more than one job is held
--   look: whether a wake can be due: 0 no, 1 yes, 2 only if nothing is held
--   seen: '' or, if a blocking read was sent right before this call, the last entry of each stream that the worker has seen,
--   in the order of their numbers: every pending entry of this worker after those is what that read returned
--   normal_owed, low_owed: jobs of these priorities that come before all others
--   unserved: "" or "\n<task>\n<task>\n": tasks that this worker has met and does not have; their jobs take no tokens here
--   in_processes: the same of tasks whose jobs this worker runs in child processes, in a claim for its other slots: one that is met there goes
--     to the streams of the pool beside its own, from which another claim starts it once a child is free
--   held: for each entry of a blocking read: stream (its number), entry, job id
-- Returns: {'paused', µs until the queue goes on (-1: when somebody resumes it), the last change of pauses}: nothing is started, and what this
--   worker holds it holds still; else 'ok' or 'gone' (the lease is lost), µs until the next wake (-1: none),
--   entries dropped as garbage, the suspect ('' or {stream, entry, id}: to be claimed again once the worker runs nothing; its
--   entry is empty if it was started: it must run alone), then for each started job: stream, entry, id, task, args, attempt,
--   failures, limits, and what these came from: spec, and after it the specs that have amended them; and at last, only if there are
--   any of either, two lists: of what is not started here, for each stream, entry, id and why: its task is unserved ('task'), or it
--   is paused and cannot be put aside ('room'): the worker holds these still; and of started jobs that have more, for each its place among them (0 is the
--   first), the µs that are left until its deadline (0: it has none), and its metadata ('': none)
-- include: base, own_streams, worker_turn, start_log, pauses

do -- a script can have 200 local variables at a time: what is over is none any more
  local refusal = refusal_of(worker, turn)
  if refusal then return { refusal == 'late' and 'ok' or refusal, -1, 0, '' } end
  local pause = paused('queue')
  if pause then return { 'paused', pause_left(pause), last_change() } end
end

local slots = math.min(tonumber(free), MOST_ENTRIES)
local NEXT_WAKE, GARBAGE, SUSPECT, METADATA = 2, 3, 4, 14 -- places in the reply, and among a job's fields
local reply = { 'ok', -1, 0, '' }
local started, started_at, passed, extras = 0, now_text, nil, nil

-- A job's fields, its limits first; none if its key holds something else.
local function fields_of(id)
  return redis.pcall('HMGET', job_key(id), 'limits', 'state', 'task', 'args', 'line', 'rank', 'attempt', 'failures', 'expires', 'crashes', 'spec', 'amended', 'deadline', 'metadata')
end

local function next_attempt(latest) return (number_in(latest) or 0) + 1 end

-- Whether a job is for other workers, or another claim of this one: a version that knows of no pools has put it here.
local own_pools
local function is_foreign(line)
  if pools == '' then return pool_of(line) end
  if not own_pools then
    own_pools = {}
    for pool in string.gmatch(pools, '%S+') do own_pools[pool] = true end
  end
  return not own_pools[pool_of(line) or DEFAULT_POOL]
end

-- What is paused of a job: its task, or its pool as '#pool'.
local function pause_over(task, line)
  if not any_paused() then return nil end
  if paused('task', task) then return task end
  local pool = paused('job of', pool_of(line) or DEFAULT_POOL)
  return pool and '#' .. pool
end

-- Whether a job is to run in a child process, and this claim is for other slots.
local function is_for_child(task) return in_processes ~= '' and string.find(in_processes, '\n' .. task .. '\n', 1, true) end

-- The line of a job, in the pool of child processes beside its own.
local function in_process_pool(line)
  if not line or line == '' then return '#' .. DEFAULT_POOL .. '.process' end
  if pool_of(line) then return line .. '.process' end
  return line .. (string.find(line, '@', 1, true) and '#' or '@#') .. DEFAULT_POOL .. '.process'
end

local function run(number, entry, id, task, args, attempt, failures, limits, spec)
  redis.call('HSET', job_key(id), 'state', 'running', 'attempt', attempt, 'worker', worker, 'entry', entry, 'started', started_at)
  log_start(id, limits, attempt)
  local n = #reply
  reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4] = number, entry, id, task
  reply[n + 5], reply[n + 6], reply[n + 7], reply[n + 8] = args, attempt, number_in(failures) or 0, limits or ''
  reply[n + 9] = spec or ''
  started = started + 1
end

check_count((#ARGV - held_at + 1) / 3)

-- The pending entries to start: stream, entry, id (nil: garbage).
local pending = {}
for at = held_at, #ARGV, 3 do pending[#pending + 1] = { tonumber(ARGV[at]), ARGV[at + 1], ARGV[at + 2] } end
local function id_in(fields) return fields and fields[1] == 'id' and fields[2] or nil end
if seen ~= '' then
  local words = { 'GROUP', GROUP, worker, 'STREAMS', unpack(OWN) }
  for entry in string.gmatch(seen, '%S+') do words[#words + 1] = entry end
  local answer = redis.pcall('XREADGROUP', unpack(words))
  if not answer.err then
    for at = 1, #OWN do
      for _, row in ipairs(answer[at][2]) do pending[#pending + 1] = { at - 1, row[1], id_in(row[2]) } end
    end
  end
end

-- Fields by job id, read when this call releases a job and used when it starts the job.
local read_before = {}

-- An idle worker gets one job as a rule. If that needs no tokens it starts here: most of what follows is for other jobs.
local held = #pending
if held == 1 and pending[1][3] and slots > 0 and look ~= '1' and read_more == '0' and unserved == '' then
  local number, entry, id = unpack(pending[1])
  local f = fields_of(id)
  local limits, state, task, args, line, _, latest, failures, expires, crashes, spec = unpack(f)
  if state == 'queued' and task and args and not (limits or expires or crashes or f[METADATA] or is_foreign(line) or is_for_child(task)) and not pause_over(task, line) then
    run(number, entry, id, task, args, next_attempt(latest), failures, nil, spec)
    return reply
  end
  read_before[id] = f
end

-- include from here on: engine, release, parked, reopen, observed

-- Entries dealt with: how much one takes is known only once it is read. Those of paused tasks left the stream, and others come after them.
local done, moved = 0, 0

local done_with = {} -- entries that leave the streams, by number

local function drop(number, entry)
  local entries = done_with[number] or {}
  done_with[number] = entries
  entries[#entries + 1] = entry
end

local function drop_garbage(number, entry)
  reply[GARBAGE] = reply[GARBAGE] + 1
  drop(number, entry)
end

limits_of = function(id)
  local f = fields_of(id)
  read_before[id] = f
  return f[1]
end

-- A job that cannot run ends here, and its reservation goes to others.
local function end_damaged(number, entry, id, task, latest, limits, problem)
  if limits then free_reservation(needs_of(limits)) end
  local text = cjson.encode({ type = 'damaged', message = problem or 'its record in Redis lacks what it takes to run it' })
  conclude(id, task or '', 'failed', 'error', text, latest, redis.call('HGET', job_key(id), 'watched'), failed_ttl_ms)
  drop(number, entry)
end

local function end_expired(number, entry, id, task, latest, limits)
  if limits then free_reservation(needs_of(limits)) end
  redis.call('ZREM', EXPIRING, id)
  expire(id, task, latest, read_job(id, 'watched', 'on_expiry'))
  drop(number, entry)
end

-- Half of a full window has started: a wake now makes room for several at once, which is cheaper than one by one.
local function make_room(needs)
  local half_window = math.floor(window_limit / 2)
  for i = 1, #needs do
    local b = load_bucket(needs[i].bucket)
    if b.released == half_window and is_waited_for(b.name) then
      redis.call('ZADD', WAKES, 'LT', int(now), b.name)
      reply[NEXT_WAKE] = 0
    end
  end
end

-- Take the tokens of a released job. Returns its limits, marked by what comes back; nil if no slot is free or a token is not there.
local function take_tokens(id, attempt, limits)
  local needs = needs_of(limits)
  unreserve_all(needs)
  if started >= slots or lacking(needs, false) then return nil end
  make_room(needs)
  take_all(needs, holder_of(id, attempt))
  if are_observed(needs) then observed.note_start(id, needs) end
  if exhausted(needs) then wake_waiters(needs) end -- these jobs fail now and do not wait for the next period
  local now_marked = marked(limits, needs)
  if now_marked ~= limits then redis.call('HSET', job_key(id), 'limits', now_marked) end
  return now_marked
end

local function pass(number, entry, id, why)
  passed = passed or {}
  local n = #passed
  passed[n + 1], passed[n + 2], passed[n + 3], passed[n + 4] = number, entry, id, why
end

local function start(number, entry, id)
  local limits, state, task, args, line, rank, latest, failures, expires, crashes, spec, amended, deadline, metadata = unpack(read_before[id] or fields_of(id))
  read_before[id] = nil
  if state == 'running' then
    local runs_at, runs_as = read_job(id, 'worker', 'entry')
    -- An entry is delivered again if its group was destroyed: it goes to the worker that runs the job. Not if the job runs under another
    -- entry: it was started so late that its worker had returned it before, and does not know of the start.
    if runs_as == entry and redis.call('ZSCORE', prefix .. 'workers', runs_at) then
      return redis.call('XCLAIM', OWN[number + 1], GROUP, runs_at, 0, entry, 'JUSTID')
    end
    -- The job is marked running, but its worker never received it (the reply was lost): release any slot it was counted for.
    if limits and give_back_all(needs_of(limits), holder_of(id, latest)) then wake_waiters(needs_of(limits)) end
    redis.call('HSET', job_key(id), 'state', 'queued')
    begin_wait(id, expires)
  elseif not state then
    if redis.pcall('HDEL', job_key(id), 'deleted') == 1 then
      leave_stream(id)
      return drop(number, entry)
    end
    -- As a rule it had ended here, and was kept for as long as it was to be.
    if (number_in(redis.pcall('GET', prefix .. 'ended_on_stream')) or 0) > 0 then redis.pcall('INCRBY', prefix .. 'ended_on_stream', -1) end
    return drop_garbage(number, entry)
  elseif FINAL[state] or state == 'scheduled' then
    leave_stream(id, limits and needs_of(limits))
    return drop(number, entry)
  end
  if not (task and args and (not limits or (line and rank and #needs_of(limits) > 0))) then
    end_wait(id, expires)
    return end_damaged(number, entry, id, task, latest, limits)
  end
  if expires and (number_in(expires) or NEVER) <= now then return end_expired(number, entry, id, task, latest, limits) end
  if is_foreign(line) then
    drop(number, entry)
    return add_to_stream(number % 3, id, line)
  end
  if is_for_child(task) then -- its producer knows of no such pools
    line = in_process_pool(line)
    redis.call('HSET', job_key(id), 'line', line)
    drop(number, entry)
    return add_to_stream(number % 3, id, line)
  end
  local pause = pause_over(task, line)
  if pause then
    if not parked.add(id, pause, number_in(rank), entry) then return pass(number, entry, id, 'room') end
    if limits then free_reservation(needs_of(limits)) end
    moved = moved + 1
    return drop(number, entry)
  end
  if unserved ~= '' and string.find(unserved, '\n' .. task .. '\n', 1, true) then return pass(number, entry, id, 'task') end
  -- One more lost worker condemns this job. So it runs alone: then no other job can be what the worker dies of.
  local suspect = crashes and (number_in(crashes) or 0) + 1 >= tonumber(max_crashes)
  if suspect and started < slots and (alone ~= '1' or started > 0) then
    reply[SUSPECT], slots = { number, entry, id }, started
    return
  end
  done = done + #args / 4096 -- four kilobytes take as long as an entry
  local attempt = next_attempt(latest)
  local taken = limits and take_tokens(id, attempt, limits)
  if limits and not taken then
    drop(number, entry)
    enqueue(id, number % 3, limits, line, number_in(rank))
    -- Its wake was computed while other released jobs had tokens reserved; those that fail like this one do not take them.
    return wake_waiters(needs_of(limits))
  end
  if started >= slots then
    -- A blocking read can return one entry of each priority to a worker with a single free slot.
    drop(number, entry)
    return add_to_stream(number % 3, id, line)
  end
  end_wait(id, expires)
  run(number, entry, id, task, args, attempt, failures, taken, amended and spec .. ' ' .. amended or spec)
  if deadline or metadata then
    extras = extras or {}
    local m = #extras
    extras[m + 1], extras[m + 2] = started - 1, deadline and math.max((number_in(deadline) or 0) - now, 1) or 0
    extras[m + 3] = metadata or ''
  end
  if suspect then reply[SUSPECT], slots = { number, '', id }, started end
end

local function start_entry(number, entry, id)
  done = done + 1
  if not id then return drop_garbage(number, entry) end
  local stands, problem = pcall(start, number, entry, id)
  if stands then return end
  -- Its record makes this fail, or Redis refuses to write: then it refuses the next line too, and nothing has happened.
  redis.call('HSET', job_key(id), 'state', 'queued')
  end_damaged(number, entry, id, read_job(id, 'task'), read_job(id, 'attempt'), nil, type(problem) == 'table' and problem.err or problem)
end

local read
do
  local function read_some(number, count)
    local stream = OWN[number + 1]
    local answer = redis.pcall('XREADGROUP', 'GROUP', GROUP, worker, 'COUNT', count, 'STREAMS', stream, '>')
    if answer and answer.err then
      -- Any other error comes again, in Redis's own words.
      if string.find(answer.err, 'NOGROUP', 1, true) then redis.call('XGROUP', 'CREATE', stream, GROUP, '0', 'MKSTREAM') end
      answer = redis.call('XREADGROUP', 'GROUP', GROUP, worker, 'COUNT', count, 'STREAMS', stream, '>')
    end
    if not answer then return 0 end
    local rows = answer[1][2]
    for _, row in ipairs(rows) do start_entry(number, row[1], id_in(row[2])) end
    return #rows
  end

  -- Of a worker that reads several pools each gets a part of the count, and what some leave is for the others: none keeps another out. Which
  -- is read first changes with the turn.
  local several = #OWN / 3
  local function read_pools(priority, count)
    if several == 1 then return read_some(priority, count) end
    local found, left, has_more = 0, several, {}
    for round = 1, 2 do
      for at = 0, several - 1 do
        local most = math.min(round == 1 and math.ceil((count - found) / left) or count - found, slots - started)
        if most <= 0 then return found end
        if round == 1 or has_more[at] then
          local here = read_some((turn + at) % several * 3 + priority, most)
          found, has_more[at] = found + here, here == most
        end
        left = math.max(left - 1, 1)
      end
    end
    return found
  end

  -- A few, in any case, as releasing them may have been enough; then as many as the call can do if they take as long as these.
  local FIRST = MOST_ENTRIES / 8
  local seen_here, before = 0, nil
  read = function(priority, count)
    while count > 0 and started < slots do
      local enough, part = is_enough(done)
      before = before or part
      if seen_here > 0 and enough then return end
      local each = seen_here > 0 and math.max(part - before, 0.001) / seen_here
      local asked = math.max(math.floor(math.min(count, each and (1 - part) / each + 0.5 or FIRST)), 1)
      local stepped_aside = moved
      local found = read_pools(priority, asked)
      count, seen_here = count - found + moved - stepped_aside, seen_here + found
      if found < asked then return end
    end
  end
end

free_in = function(pool)
  return is_foreign(pool ~= '' and '#' .. pool) and 0 or math.max(slots - started, 0)
end

-- Strict order, except for what the lower priorities are owed: endless jobs of a higher one must not keep them out.
local function read_ready(reads_all)
  for priority, owed in pairs({ tonumber(normal_owed), tonumber(low_owed) }) do
    if owed > 0 and started < slots and (reads_all or added[priority + 1] > 0) then read(priority, math.min(owed, slots - started)) end
  end
  for priority = 0, 2 do
    if started < slots and (reads_all or added[priority + 1] > 0) then read(priority, slots - started) end
  end
end

-- Slots are left for jobs of these pools: lines that have stepped aside for want of one come back in their order, as many as there are slots,
-- until these are filled. Those whose tokens are not there take none: they wait at their buckets, and the next come back.
local MOST_BACK = 200
local function reopen_own(pool)
  local back, here = 0, nil
  while started < slots and back < MOST_BACK and not is_over() do
    here = reopen(pool, slots - started)
    if here == 0 then return end
    back, rooms = back + here, {}
    reply[NEXT_WAKE] = select(2, release.due(math.min(window_limit, MOST_ENTRIES)))
    read_ready(false)
  end
end

-- What was started has taken its tokens, also if the rest fails: the worker gives it back, and what comes back must have been taken.
local stands, problem = pcall(function()
  for _, entry in ipairs(pending) do start_entry(entry[1], entry[2], entry[3]) end
  if slots > window_limit then window_limit = slots end
  local released = 0
  if look == '1' or (look == '2' and held == 0) then
    released, reply[NEXT_WAKE] = release.due(math.min(window_limit, MOST_ENTRIES))
  end
  local reads_all = read_more == '1' or held > 1 or moved > 0
  if reads_all or released > 0 then read_ready(reads_all) end
  for pool in string.gmatch(pools, '%S+') do
    if pool ~= DEFAULT_POOL then reopen_own(pool) end
  end
end)
for number, entries in pairs(done_with) do delete_entries(OWN[number + 1], entries) end
flush()
nudge_leader()
if not stands then error(problem, 0) end
if passed or extras then reply[#reply + 1], reply[#reply + 2] = passed or {}, extras or {} end
return reply
