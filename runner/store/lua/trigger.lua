-- trigger: make a job of a schedule by hand, now, beside its instants. Repeatable: the caller gives the id. (new) -> queued, waiting or scheduled.
-- KEYS: prefix
-- ARGV: most_backlog (-1: no cap), name, run...
--   run: the job, as include/acceptance takes a run of one
-- Returns: what a submission of one job is told, see submit; or 'unknown', if there is no such schedule
-- full: refused
-- include: acceptance, format, backlog, engine, features, unique, tagged, scheduled_row, schedule_record, audit_line

local FIRST = { queued = true, waiting = true, scheduled = true, failed = true }
if not schedules.read(name) then return { 'unknown' } end
jobs = 1
if most_backlog ~= '-1' then
  unended = count_unended()
  room = tonumber(most_backlog) - unended
end
place_by(enqueue)
local run = run_at
accept(run)
local said, id = answers[1], ARGV[run_at + HEAD]
local state = schedules.state_key(name)
if FIRST[said] then
  -- It is the latest run, unless one goes on: that is what the next instant must not run beside.
  if not schedules.goes_on(redis.call('HGET', state, 'current')) then
    redis.call('HSET', state, 'current', id)
    if said == 'failed' then redis.call('HSET', state, 'last_state', said, 'last_ended', int(now)) end
  end
  audit('trigger', 'schedule ' .. name, '', id)
elseif string.match(said, '^replaced ') then
  audit('trigger', 'schedule ' .. name, '', said)
end
flush()
nudge_leader()
return answers
