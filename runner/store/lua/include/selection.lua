-- selection: which jobs a filter asks for, a page at a time. Reads only, except that a tag forgets jobs that are gone.
-- A filter is what runner/jobs/filter.py makes of it: `states` (a set), `tasks` (lists of names or beginnings with a `*`, of each of which one
-- must fit), `limit`, `bucket`, `pool`, `tag`, `reason`, `error` (its type), `schedule` (by which it was made), `batch` (its id in Redis), `submitted_from`, `submitted_to`, `ended_from` and `ended_to` (µs, both
-- included), `oldest` (of what has an order of time the earliest first), and whose jobs count: `within` (how the id in Redis begins) and `shared`
-- (whether jobs of tenants, with a slash in the rest of their id, are among them), `begins` (how that rest begins).
-- A cursor is a list: the word of a row of sources, and a place there. What stays where it is while a walk goes on is met once; what moves
-- meanwhile may be met where it was, where it is, or not at all.
-- include: base, sources, batch_jobs, why_not_started
local selection = {}

do
  local FIELDS = { 'state', 'task', 'submitted', 'limits', 'line', 'reason', 'held', 'entry', 'finished', 'ended_in' }

  local function fields_of(id)
    local values = redis.pcall('HMGET', job_key(id), unpack(FIELDS)) -- a key of another type is not a job
    if values.err or not values[1] then return nil end
    local f = {}
    for at, name in ipairs(FIELDS) do f[name] = values[at] or nil end
    return f
  end

  local function begins_with(text, beginning) return string.sub(text, 1, #beginning) == beginning end

  local function fits(task, names)
    for _, name in ipairs(names) do
      if task == name or string.sub(name, -1) == '*' and begins_with(task, string.sub(name, 1, -2)) then return true end
    end
    return false
  end

  local function is_seen(id, filter)
    if begins_with(id, 'take:') or not begins_with(id, filter.within) then return false end
    local rest = string.sub(id, #filter.within + 1)
    return (filter.shared or not string.find(rest, '/', 1, true)) and begins_with(rest, filter.begins or '')
  end

  local function needs_any(f, filter)
    local needs = ';' .. (f.limits or '')
    if filter.bucket and not string.find(needs, ';' .. filter.bucket .. '=', 1, true) then return false end
    if not filter.limit then return true end
    return string.find(needs, ';' .. filter.limit .. '=', 1, true) or string.find(needs, ';' .. filter.limit .. '/', 1, true)
  end

  local function is_between(number, from, to)
    if not (from or to) then return true end
    return number and number >= tonumber(from or 0) and number <= tonumber(to or YEAR_US * 1000)
  end

  -- Whether a job is in a pool: in the one of child processes beside it too.
  local function is_in(f, wanted)
    local pool = string.match(f.line or '', '#(.+)$') or 'default'
    return pool == wanted or base_pool(pool) == wanted
  end

  -- The type of an error that a worker or a script has written; '' of one that cannot be read.
  function selection.error_type(id)
    local text = redis.call('HGET', job_key(id), 'error')
    if not text then return nil end
    local plain = string.match(text, '^{"type": ?"([^"\\]*)"[,}]')
    if plain then return plain end
    local readable, error = pcall(cjson.decode, text)
    return readable and type(error) == 'table' and tostring(error.type) or ''
  end

  local function is_made_by(id, schedule)
    local ends = redis.call('HGET', job_key(id), 'then')
    return ends and string.find(' ' .. ends .. ' ', ' schedule=' .. schedule .. ' ', 1, true) ~= nil
  end

  -- The state of a job and its fields if the filter asks for it.
  local function match(filter, row, id, found_at)
    if not is_seen(id, filter) then return nil end
    local f = fields_of(id)
    local state = f and row.state(f, found_at, id)
    if not state or filter.states and not filter.states[state] then return nil end
    for _, names in ipairs(filter.tasks or {}) do
      if not fits(f.task or '', names) then return nil end
    end
    if not needs_any(f, filter) or filter.pool and not is_in(f, filter.pool) then return nil end
    if filter.reason and filter.reason ~= why_not_started(id, f.state, f.reason, f.task or '', f.line, f.limits) then return nil end
    if not is_between(number_in(f.submitted), filter.submitted_from, filter.submitted_to) then return nil end
    if not is_between(FINAL[state] and number_in(f.finished), filter.ended_from, filter.ended_to) then return nil end
    if filter.schedule and not is_made_by(id, filter.schedule) then return nil end
    if filter.batch and not batch_jobs.has(id, filter.batch) then return nil end
    if filter.error and filter.error ~= selection.error_type(id) then return nil end
    return state, f
  end

  -- Look at `examined` records at most, from the cursor on (nil: the first), until `matches` were found: visit(id, state, fields) is called for
  -- each. Returns the cursor to go on from, nil at the end; how many were looked at.
  function selection.walk(filter, from, examined, matches, visit)
    local looked, found, at = 0, 0, nil
    local is_ahead = from ~= nil
    for _, row in ipairs(sources.of(filter)) do
      if not is_ahead or row.word == from[1] then
        local function emit(id, place, found_at)
          looked = looked + 1
          local state, f
          if id then state, f = match(filter, row, id, found_at) end
          if state then
            found = found + 1
            visit(id, state, f)
          end
          at = { row.word, place }
          return looked >= examined or found >= matches
        end
        local place = is_ahead and from[2] or nil
        is_ahead = false
        if row.walk(filter, place, emit) then return at, looked end
      end
    end
    if is_ahead then error('the cursor is of no place where such jobs are') end
    return nil, looked
  end
end
