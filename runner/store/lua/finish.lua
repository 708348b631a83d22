-- finish: record what attempts came to. running -> succeeded, failed, cancelled, scheduled (retry, or another worker is to run it), waiting
-- (no worker can) or queued (given back; amended: it needs other buckets, as its worker found before it began; or throttled: the provider
-- said wait, so the bucket is frozen for all jobs and the attempt does not count; a dead letter once that was said more often than its task
-- allows). A retry that would come after the job's deadline is a dead letter instead, with the last error inside.
-- Only the attempt that is running can record an outcome: any other is stale. Repeatable: a second call changes nothing.
-- Each outcome stands alone: one that Redis refuses, because of its record or its numbers, changes nothing, keeps its entry, and all others
-- are recorded. Its worker sends it again with the ending `refused`, which is a dead letter whatever its record and its buckets are like.
-- A worker says so too of an entry that it holds and does not start: `unknown` if another one is to run the job, `busy` if this one has no room
-- for it now; it has taken no tokens then; and `refused` if no claim can start it.
-- KEYS: prefix
-- ARGV: worker, longest_freeze_us, tells_times (0 or 1), runs...
--   runs: successive outcomes that differ only in job and payload: how many, then once for all of them stream (its number among the worker's),
--   ending (succeeded, failed, retry, throttled, cancelled, returned, amended, unknown, busy, refused), delay_us (retry, throttled; negative: the
--   provider named no time, and its bucket is frozen for so long at first, see freezes), ttl_ms (final
--   states), settled ("bucket=tokens;..." actually used, or ""), bucket (throttled: the one to freeze), most_throttled (0: no end),
--   has_progress (0 or 1), then for each entry, id, attempt ('' of one that is only held), payload (JSON; amended: spec, limits and line,
--   each on a line) and with has_progress what its handler has said last of its progress (JSON)
-- Returns: for each outcome 'accepted', 'repeated', 'stale' or 'refused' and why; then for each settlement of which a part is not charged
--   'not charged', job id, bucket, tokens not charged; and for each throttled outcome 'throttled', job id, bucket, µs of the freeze, how
--   often this job was throttled, 1 if the bucket was frozen before; with tells_times one row 'times', and for each attempt of this call that
--   ran its job, its limits, when it started, and the instant from which it waited
-- include: base, own_streams, final_state, due_instants, attempts, progress_text

local HEAD, AN_OUTCOME = 9, 4 -- and one more with progress
local STREAM, ENDING, DELAY, TTL, SETTLED, BUCKET, MOST_THROTTLED, HAS_PROGRESS = 1, 2, 3, 4, 5, 6, 7, 8 -- places after the start of a run
local ID, ATTEMPT, PAYLOAD, PROGRESS = 1, 2, 3, 4 -- places after an entry
local last = #ARGV
local answers = {}
local with_buckets, held_only = {}, {} -- outcomes that are recorded in the second pass; entries that are only held
local times = tells_times == '1' and { 'times' } or nil

-- Once a script has written, Redis lets it go on when memory is full. What it frees, it frees at its end: the entries of outcomes that stand.
redis.pcall('XDEL', STREAMS[1], '0-1')

-- How many words an outcome of a run has, and where the next run begins.
local function extent(run)
  local width = AN_OUTCOME + ARGV[run + HAS_PROGRESS]
  return width, run + HEAD + ARGV[run] * width
end

local count = 0
local run = runs_at
while run <= last do
  count = count + ARGV[run]
  local _, next_run = extent(run)
  run = next_run
end
check_count(count)

local refused = {} -- by the place of an outcome in ARGV
local function refusal(problem) return 'refused ' .. (type(problem) == 'table' and problem.err or tostring(problem)) end
local AS_BEFORE = 'running'

-- Take back what an attempt's outcome has changed before Redis refused it: its worker says so, and ends it in another way.
local function refuse(at, id, problem)
  redis.call('HSET', job_key(id), 'state', AS_BEFORE)
  redis.call('HDEL', job_key(id), 'result', 'finished')
  redis.call('PERSIST', job_key(id))
  redis.call('ZREM', prefix .. 'scheduled', id)
  refused[at] = true
  return refusal(problem)
end

local function free_entries()
  local entries = {}
  run = runs_at
  while run <= last do
    local number = ARGV[run + STREAM] + 1
    local list = entries[number] or {}
    entries[number] = list
    local width, next_run = extent(run)
    for at = run + HEAD, next_run - 1, width do
      if not refused[at] then list[#list + 1] = ARGV[at] end
    end
    run = next_run
  end
  for number, list in pairs(entries) do delete_entries(OWN[number], list) end
end

-- Endings that count although `cancel` had asked for another one.
local STANDS = { succeeded = true, failed = true, refused = true }

-- The state, or two, that show that this ending was recorded before; none for endings that leave a job queued, as reclaim does too.
local function state_after(run, cancelled)
  local ending = ARGV[run + ENDING]
  if cancelled and not STANDS[ending] then return 'cancelled' end
  if ending == 'retry' or ending == 'unknown' then return 'scheduled', ending == 'retry' and 'failed' end
  if ending == 'refused' or ending == 'throttled' and ARGV[run + MOST_THROTTLED] ~= '0' then return 'failed' end
  return FINAL[ending] and ending
end

-- Whether an outcome changes buckets, returns the job to a place where it can wait for tokens, or concerns more than the job.
local function needs_buckets(run, limits, ends)
  if ends then return true end
  local ending = ARGV[run + ENDING]
  if ending == 'throttled' or ending == 'returned' or ending == 'amended' or ending == 'unknown' then return true end
  return ARGV[run + SETTLED] ~= '' or limits and string.find(limits, '!', 1, true)
end

-- The error that an outcome carries; what cannot be read has no type.
local function error_in(payload)
  local readable, fields = pcall(cjson.decode, payload)
  return readable and type(fields) == 'table' and fields or {}
end

-- The deadline of a job that has one: it expires at it, so others are not looked up.
local function deadline_of(id, expires) return expires and number_in(redis.call('HGET', job_key(id), 'deadline')) end

-- In the place of a retry that would come after the deadline.
local function end_at_deadline(id, task, payload, attempt, watched, ends)
  local last = error_in(payload)
  local text = 'its next attempt would begin after its deadline; the last error was ' .. tostring(last.type) .. ': ' .. tostring(last.message)
  last.type, last.message = 'DeadlineExceeded', text
  conclude(id, task, 'failed', 'error', cjson.encode(last), attempt, watched, failed_ttl_ms, ends)
end

-- End the job, or schedule its retry. Returns false if it is to be put back instead.
local function record(run, id, payload, task, attempt, watched, cancelled, expires, ends)
  local ending = ARGV[run + ENDING]
  if cancelled then
    redis.call('SREM', cancels_key(worker), id)
    if not STANDS[ending] then ending = 'cancelled' end
  end
  if ending == 'succeeded' then
    conclude(id, task, 'succeeded', 'result', payload, attempt, watched, ARGV[run + TTL], ends)
  elseif ending == 'failed' then
    conclude(id, task, 'failed', 'error', payload, attempt, watched, ARGV[run + TTL], ends)
  elseif ending == 'refused' then
    pcall(conclude, id, task, 'failed', 'error', payload, attempt, watched, ARGV[run + TTL], ends)
  elseif ending == 'cancelled' then
    conclude(id, task, 'cancelled', nil, nil, attempt, watched, ARGV[run + TTL], ends)
  elseif ending == 'retry' then
    local due = now + math.min(tonumber(ARGV[run + DELAY]), YEAR_US)
    if due > (deadline_of(id, expires) or math.huge) then
      end_at_deadline(id, task, payload, attempt, watched, ends)
    else
      redis.call('HINCRBY', job_key(id), 'failures', 1)
      begin_wait(id, expires)
      note_due(due, prefix .. 'scheduled')
      redis.call('ZADD', prefix .. 'scheduled', int(due), id)
      redis.call('HSET', job_key(id), 'state', 'scheduled', 'reason', 'retry', 'error', payload)
      local n = #counted_ends
      counted_ends[n + 1], counted_ends[n + 2], counted_ends[n + 3] = id, task or '', RETRIED
      counted_ends[n + 4], counted_ends[n + 5], counted_ends[n + 6] = false, false, false
    end
  else
    return false
  end
  if ending == 'failed' or ending == 'retry' then
    local failure = error_in(payload)
    note_failure(id, attempt, failure.type, failure.message)
  end
  return true
end

local function tell_times(id, limits, started, since)
  local n = #times
  times[n + 1], times[n + 2], times[n + 3], times[n + 4] = id, limits, started, since
end

do
  local here, met = nil, {} -- the place of the outcome that is being recorded; jobs of the second pass
  local function record_from(run, first, next_run, width)
    for at = first, next_run - 1, width do
      here = at
      local id, attempt, payload = ARGV[at + ID], ARGV[at + ATTEMPT], ARGV[at + PAYLOAD]
      local state, latest, task, watched, cancelled, limits, started, expires, ends, ready, submitted
      if counting == '1' or times then
        state, latest, task, watched, cancelled, limits, started, expires, ends, ready, submitted =
          read_job(id, 'state', 'attempt', 'task', 'watched', 'cancel', 'limits', 'started', 'expires', 'then', 'ready', 'submitted')
      else
        state, latest, task, watched, cancelled, limits, started, expires, ends =
          read_job(id, 'state', 'attempt', 'task', 'watched', 'cancel', 'limits', 'started', 'expires', 'then')
      end
      local answer = 'accepted'
      if latest ~= attempt or state ~= 'running' then
        local after, or_after = state_after(run, cancelled)
        answer = latest == attempt and (state == after or state == or_after) and 'repeated' or 'stale'
        if attempt == '' then held_only[#held_only + 1] = { at, #answers + 1, run, id, payload } end
      elseif met[id] then
        answer = 'repeated'
      elseif needs_buckets(run, limits, ends) then
        with_buckets[#with_buckets + 1] =
          { at, #answers + 1, run, id, payload, task, attempt, watched, cancelled, limits, started, ready or submitted, expires, ends }
        met[id] = true
      else
        local n = #counted_ends
        record(run, id, payload, task, attempt, watched, cancelled, expires, ends)
        if counted_ends[n + 1] == id then
          counted_ends[n + 4], counted_ends[n + 5], counted_ends[n + 6] = limits, started, ready or submitted
        end
        if times then tell_times(id, limits, started, ready or submitted) end
      end
      if answer == 'accepted' and width > AN_OUTCOME then note_progress(id, ARGV[at + PROGRESS]) end
      answers[#answers + 1] = answer
    end
  end

  run = runs_at
  while run <= last do
    local width, next_run = extent(run)
    local first = run + HEAD
    while first < next_run do
      local stands, problem = pcall(record_from, run, first, next_run, width)
      if stands then break end
      answers[#answers + 1] = refuse(here, ARGV[here + ID], problem)
      first = here + width
    end
    run = next_run
  end
end

if #with_buckets + #held_only == 0 then
  free_entries()
  write_counts()
  nudge_leader()
  if times then answers[#answers + 1] = times end
  return answers
end

-- include from here on: engine, held, refunds, declined, freezes

local MOST_ACTUAL = 4503599627370496 -- 2^52: beyond that a number of tokens is not exact
local rows = {}

-- A bucket of which the job took nothing, since its cost was 0, is charged what was used.
local function settle(needs, settled, id, attempt, started)
  local holder = holder_of(id, attempt)
  for bucket, actual in string.gmatch(settled, '([^=;]+)=(%d+)') do
    local b, cost = load_bucket(bucket), 0
    for i = 1, #needs do
      if needs[i].bucket == bucket then cost = needs[i].cost end
    end
    local used = math.min(tonumber(actual), MOST_ACTUAL)
    if b.kind then refunds.note_difference(b, used - cost, holder, started or now) end
    if b.kind and has_taken(b, started) then
      local cut = b.kind.settle(b, cost, used, holder, started)
      if cut and cut > 0 then rows[#rows + 1] = { 'not charged', id, bucket, int(cut) } end
      b.taken = true
    end
  end
end

local throttle -- a script can have 200 local variables at a time: what one function uses is its own
do
  -- Nothing starts until the instant that the provider named. A shorter wait never shortens a longer one. Whether it was frozen before.
  local function freeze(bucket, wait_us, id)
    local b = load_bucket(bucket)
    if not b.kind then return false end
    local was_frozen = frozen_until(b) > now
    if now + wait_us > b.frozen_until then
      b.frozen_until, b.taken = now + wait_us, true
      b.kind.freeze(b, b.frozen_until)
      redis.call('HSET', bucket_key(bucket), 'frozen_by', 'the provider of job ' .. id .. ' said wait')
    end
    return was_frozen
  end

  local FLOOR_US, LONGEST_FLOOR_US = 1000000, 60000000 -- the least freeze: it doubles each time the same job is throttled
  local OFTEN, MOST_NAMED, NAMED_MS = 100, 1000, 604800000 -- jobs that are throttled more often are named by doctor

  -- The provider of a job said wait. Returns whether it has said so more often than the job's task allows.
  function throttle(run, id, task, started)
    local bucket, times = ARGV[run + BUCKET], redis.call('HINCRBY', job_key(id), 'throttled', 1)
    local b = load_bucket(bucket)
    local floor_us = math.min(FLOOR_US * 2 ^ math.min(times - 1, 60), LONGEST_FLOOR_US)
    local wait_us = freezes.length_of(b, tonumber(ARGV[run + DELAY]), started or now, floor_us)
    local was_frozen = freeze(bucket, wait_us, id)
    add_to_minute('t:' .. (task or '') .. '|h', 1)
    add_to_minute('l:' .. string.match(bucket, '^[^/]*') .. '|h', 1)
    if times > OFTEN then
      local often = prefix .. 'throttled'
      redis.call('ZADD', often, times, id)
      redis.call('ZREMRANGEBYRANK', often, 0, -MOST_NAMED - 1)
      redis.call('PEXPIRE', often, NAMED_MS)
    end
    rows[#rows + 1] = { 'throttled', id, bucket, int(wait_us), times, was_frozen and 1 or 0 }
    local most = tonumber(ARGV[run + MOST_THROTTLED])
    return most > 0 and times > most
  end
end

-- Return a job to its stream, or to its old place in its line. An amended one has not begun.
local function put_back(id, expires, has_begun)
  begin_wait(id, expires)
  local priority, limits, line, rank = read_job(id, 'priority', 'limits', 'line', 'rank')
  if has_begun then is_due(id, now) else redis.call('HSET', job_key(id), 'state', 'queued') end
  enqueue(id, number_in(priority), limits, line, number_in(rank))
end

-- Settle what was used, and give back what is held.
local function release(run, limits, id, attempt, started)
  if ARGV[run + SETTLED] == '' and not (limits and string.find(limits, '!', 1, true)) then return end
  local needs = limits and needs_of(limits) or {}
  settle(needs, ARGV[run + SETTLED], id, attempt, number_in(started))
  give_back_all(needs, holder_of(id, attempt))
  wake_waiters(needs)
end

-- This version of the task needs other buckets: what was taken goes back as if the attempt had never begun, and the job waits for the
-- right ones at its old place, or as the latest if it had none.
local function amend(id, payload, limits, attempt, started)
  local spec, right, line = string.match(payload, '^(%x+)\n(%S+)\n(%S+)$')
  if not spec then error('its needs cannot be read') end
  if limits then
    refunds.undo_start(id, attempt, needs_of(limits), number_in(started))
    refunds.complete()
  end
  local rank, amended, before = read_job(id, 'rank', 'amended', 'line')
  local pool = pool_of(before)
  if pool then line = line .. (string.find(line, '@', 1, true) and '#' or '@#') .. pool end
  local sequence = rank and math.floor(number_in(rank) / RANK) or redis.call('INCR', prefix .. 'seq')
  redis.call('HSET', job_key(id), 'limits', right, 'line', line, 'rank', int(rank_of(sequence, right)), 'spec', spec,
    'amended', amended and amended .. ' ' .. spec or spec)
end

local function record_with_buckets(run, id, payload, task, attempt, watched, cancelled, limits, started, _, expires, ends)
  local is_unknown = ARGV[run + ENDING] == 'unknown'
  if is_unknown and (cancelled or held.is_for_another(id, task, payload)) then
    if limits then refunds.undo_start(id, attempt, needs_of(limits), number_in(started)) end
    if not cancelled then return held.leave_to_another(id, task, payload, expires) end
    return record(run, id, payload, task, attempt, watched, cancelled, expires, ends)
  end
  if ARGV[run + ENDING] == 'refused' then
    pcall(release, run, limits, id, attempt, started)
  elseif ARGV[run + ENDING] == 'amended' then
    amend(id, payload, limits, attempt, started)
  else
    release(run, limits, id, attempt, started)
  end
  if is_unknown then return conclude(id, task, 'failed', 'error', payload, attempt, watched, ARGV[run + TTL], ends) end
  if ARGV[run + ENDING] == 'throttled' and throttle(run, id, task, number_in(started)) and not cancelled then
    conclude(id, task, 'failed', 'error', payload, attempt, watched, failed_ttl_ms, ends)
  elseif not record(run, id, payload, task, attempt, watched, cancelled, expires, ends) then put_back(id, expires, ARGV[run + ENDING] ~= 'amended') end
end

for _, outcome in ipairs(with_buckets) do
  local at, place = outcome[1], outcome[2]
  local n = #counted_ends
  local stands, problem = pcall(record_with_buckets, unpack(outcome, 3))
  if not stands then
    answers[place] = refuse(at, outcome[4], problem)
  elseif counted_ends[n + 1] == outcome[4] then
    counted_ends[n + 4], counted_ends[n + 5], counted_ends[n + 6] = unpack(outcome, 10, 12)
  end
  if times then tell_times(outcome[4], unpack(outcome, 10, 12)) end
end
refunds.complete()

untold_from = #counted_ends + 1 -- what ended by an attempt, its worker tells
if #held_only > 0 then declined.all() end

flush()
free_entries()
nudge_leader()
for i = 1, #rows do answers[#answers + 1] = rows[i] end
if times then answers[#answers + 1] = times end
return answers
