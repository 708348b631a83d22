-- schedule_record: the keys of schedules, and what a script reads of one. The entry of a schedule is a line for the scripts (version, source, role,
-- revision, since when its process publishes), and then the JSON of its spec, which no script reads.
-- include: base, due_instants
local schedules = {
  KEY = prefix .. 'schedules',
  DUE = prefix .. 'schedules:due',
  DORMANT = prefix .. 'schedules:dormant',
  LINE = '^(%d+) (%a+) (%a+) (%d+) (%d+)\n()',
}

function schedules.state_key(name) return prefix .. 'schedule:' .. name end

-- The entry of a schedule; nil if there is none that can be read.
function schedules.read(name)
  local text = redis.call('HGET', schedules.KEY, name)
  local version, source, role, revision, since, body_at = string.match(text or '', schedules.LINE)
  if not version then return nil, text end
  local body = string.sub(text, body_at)
  return { version = version, source = source, role = role, revision = tonumber(revision), since = tonumber(since), body = body }, text
end

-- It is due at this instant next ('' or false: never).
function schedules.set_due(name, due)
  local instant = tonumber(due or nil)
  if not instant then return redis.call('ZREM', schedules.DUE, name) end
  note_due(instant, schedules.DUE)
  redis.call('ZADD', schedules.DUE, int(instant), name)
end

-- Whether a run has not ended. One whose record is gone has.
function schedules.goes_on(id)
  local state = id and id ~= '' and read_job(id, 'state')
  return state and not FINAL[state] or false
end
