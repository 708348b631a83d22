-- fire: make the jobs of schedules that are due, and set the next instant of each, both or nothing. Its fence is `expected`: if another leader was
-- here, or the schedule was changed, paused or removed, nothing of it is done. (new) -> queued, waiting or scheduled.
-- KEYS: prefix
-- ARGV: most_backlog (-1: no cap), jobs_in_all, fired...
--   fired: for each schedule its name, expected (when it was due), version ('' of a damaged entry), nominal (the next instant in µs, '': none),
--   due (of that, '': never), missed (instants that nobody fired), last (the latest instant that is settled now), overlap ('skip', 'queue' or 'allow'),
--   refusal ('', or why its task can have no job now), count, then for each run its nominal instant and, if there is no refusal, the job as
--   include/acceptance takes a run of one
-- Returns: for each schedule 'fired', 'full' (there was no room: the run and those after it are due again in a second), 'moved' or 'changed'
--   (nothing was done), and how many runs were made, were skipped and were refused
-- full: refused
-- include: acceptance, backlog, engine, features, unique, tagged, scheduled_row, schedule_record, audit_line

local A_SECOND_US, LOOK_AGAIN_US, LONGEST_WHY = 1000000, 60000000, 300
local NAME, EXPECTED, VERSION, NOMINAL, DUE, MISSED, LAST, OVERLAP, REFUSAL, COUNT, A_SCHEDULE = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
local answer = {}
jobs = tonumber(jobs_in_all)
check_count(jobs)
if most_backlog ~= '-1' then
  unended = count_unended()
  room = tonumber(most_backlog) - unended
end
place_by(enqueue)

-- What becomes of one run of a schedule; `known` is what is known of the schedule, and changes.
local function run_of(known, name, overlap, refusal, instant, run)
  local is_pending = known.pending == instant
  if refusal ~= '' then
    if is_pending then known.pending = false end
    return 'refused', refusal
  end
  if overlap ~= 'allow' and schedules.goes_on(known.current) then
    if is_pending then return 'kept' end
    if overlap == 'queue' and not known.pending then
      known.pending = instant
      return 'kept'
    end
    return 'skipped', known.current .. ' had not ended'
  end
  accept(run)
  local said, id = answers[looked_at], ARGV[run + HEAD]
  if said == 'full' then return 'full' end
  if is_pending then known.pending = false end
  if said == 'conflict' then return 'refused', 'another job has the id ' .. id end
  if said == 'pools' then return 'refused', 'its pool would be one more than there can be' end
  local what, other = string.match(said, '^(%a+) (.+)$')
  if what == 'replaced' then return 'skipped', 'job ' .. other .. ', which waits, runs with its arguments' end
  if what then return 'skipped', 'it is unique, and job ' .. other .. ' is there' end
  local state = read_job(id, 'state')
  known.current, known.ended_as = id, FINAL[state] and state
  return 'made'
end

-- Where the next of some runs begins.
local function behind_run(at, refusal)
  if refusal ~= '' then return at + 1 end
  local _, next_run = extent(at + 1)
  return next_run
end

local function why_of(what, text) return what .. ': ' .. string.sub(text, 1, LONGEST_WHY) end

-- The runs of one schedule, in order, up to one for which there is no room. Where what follows them begins, whether there was no room, and the first
-- instant that is left then.
local function fire_runs(at, known, counts)
  local name, refusal = ARGV[at + NAME], ARGV[at + REFUSAL]
  local run_at = at + A_SCHEDULE
  local is_full, left
  for _ = 1, tonumber(ARGV[at + COUNT]) do
    local instant = ARGV[run_at]
    local came_to, why
    if not is_full then came_to, why = run_of(known, name, ARGV[at + OVERLAP], refusal, instant, run_at + 1) end
    if came_to == 'full' then is_full = true end
    if is_full and not left and instant ~= known.pending then left = instant end
    if counts[came_to] then counts[came_to] = counts[came_to] + 1 end
    if why then counts.why = why_of(came_to, why) end
    run_at = behind_run(run_at, refusal)
  end
  return run_at, is_full, left
end

local function settle(at, known, counts, is_full, left)
  local name, nominal, due, last = ARGV[at + NAME], ARGV[at + NOMINAL], ARGV[at + DUE], ARGV[at + LAST]
  local state = schedules.state_key(name)
  if left then nominal, last = left, '' end
  if is_full then
    due = int(now + A_SECOND_US)
  elseif known.pending and (tonumber(due) or math.huge) > now + LOOK_AGAIN_US then
    due = int(now + LOOK_AGAIN_US) -- the end of the run before makes it due; if that was lost it is found so
  end
  local words = { 'current', known.current or '', 'why', counts.why or known.why or '' }
  local function note(field, value) words[#words + 1], words[#words + 2] = field, value end
  if last ~= '' then note('last', last) end
  if known.ended_as then
    note('last_state', known.ended_as)
    note('last_ended', int(now))
  end
  if known.pending then note('pending', known.pending) end
  if nominal ~= '' then note('nominal', nominal) end
  redis.call('HSET', state, unpack(words))
  if not known.pending then redis.call('HDEL', state, 'pending') end
  if nominal == '' then redis.call('HDEL', state, 'nominal') end
  for _, what in ipairs({ 'made', 'missed', 'skipped', 'refused' }) do
    if counts[what] > 0 then redis.call('HINCRBY', state, what, counts[what]) end
  end
  if due == '' then redis.call('ZREM', schedules.DUE, name) else redis.call('ZADD', schedules.DUE, due, name) end
  if counts.missed > 0 then audit('missed', 'schedule ' .. name, '', counts.why) end
end

local function fire(at)
  local name = ARGV[at + NAME]
  local counts = { made = 0, missed = tonumber(ARGV[at + MISSED]), skipped = 0, refused = 0 }
  local said
  local score = redis.call('ZSCORE', schedules.DUE, name)
  local entry = schedules.read(name)
  if not score or tonumber(score) ~= tonumber(ARGV[at + EXPECTED]) then
    said = 'moved'
  elseif (entry and entry.version or '') ~= ARGV[at + VERSION] then
    said = 'changed'
  end
  if said then
    local run_at = at + A_SCHEDULE
    for _ = 1, tonumber(ARGV[at + COUNT]) do run_at = behind_run(run_at, ARGV[at + REFUSAL]) end
    answer[#answer + 1] = { said, 0, 0, 0 }
    return run_at
  end
  local current, pending, why = unpack(redis.call('HMGET', schedules.state_key(name), 'current', 'pending', 'why'))
  local known = { current = current, pending = pending, why = why }
  if counts.missed > 0 then counts.why = why_of('missed', int(counts.missed) .. ' instants that nobody fired in time') end
  local next_at, is_full, left = fire_runs(at, known, counts)
  settle(at, known, counts, is_full, left)
  answer[#answer + 1] = { is_full and 'full' or 'fired', counts.made, counts.skipped, counts.refused }
  return next_at
end

local fired_now = fired_at
while fired_now <= #ARGV do fired_now = fire(fired_now) end
flush()
nudge_leader()
return answer
