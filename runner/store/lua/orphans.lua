-- orphans: take back jobs that are running although nobody holds them: their worker is not live, and their entry is pending with no
-- consumer, so reclaim never meets them. Their entry was deleted by hand, or lost with what Redis lost. running -> queued or cancelled.
-- The leader goes through the names of all jobs, outside of scripts, and asks for a page of them. A job of a live worker is never touched,
-- whatever became of its entry; one that was taken back is seen by its late worker as any other, by the number of its attempt.
-- KEYS: prefix
-- ARGV: ids...
-- Returns: jobs taken back, ids looked at: the others are for the next call
-- include: engine, take_back

check_count(#ARGV - ids_at + 1)

local lives = {} -- by worker
local function is_live(worker)
  if lives[worker] == nil then
    local lapses = redis.call('ZSCORE', prefix .. 'workers', worker)
    lives[worker] = lapses and tonumber(lapses) > now or false
  end
  return lives[worker]
end

-- Whether a consumer holds the entry; if none does, it leaves the stream, so that no claim meets it beside the new one.
local function is_held(stream, entry, id)
  local pending = redis.pcall('XPENDING', stream, GROUP, entry, entry, 1)
  if not pending.err and #pending > 0 then return true end
  local rows = redis.pcall('XRANGE', stream, entry, entry)
  if not rows.err and rows[1] and rows[1][2][2] == id then delete_entries(stream, { entry }) end
  return false
end

local function take_back(id)
  local task, attempt, watched, cancelled, limits, line, rank, expires, priority =
    read_job(id, 'task', 'attempt', 'watched', 'cancel', 'limits', 'line', 'rank', 'expires', 'priority')
  local needs = limits and needs_of(limits)
  if end_lost_attempt(id, task, attempt, watched, cancelled, needs, expires, false) then
    enqueue(id, number_in(priority), limits, line, number_in(rank))
  end
end

local taken, looked, done = 0, 0, 0
for at = ids_at, #ARGV do
  if is_enough(done) then break end
  local id = ARGV[at]
  local state, worker, entry, priority, line = read_job(id, 'state', 'worker', 'entry', 'priority', 'line')
  looked, done = looked + 1, done + 1
  if state == 'running' and not is_live(worker or '') then
    done = done + 1
    local stream, pool = STREAMS[(number_in(priority) or 1) + 1] or STREAMS[2], pool_of(line)
    -- A worker that knows of no pools has met it on the stream of the default one.
    if not (is_held(stream, entry or '', id) or pool and is_held(stream .. ':' .. pool, entry or '', id)) then
      take_back(id)
      taken, done = taken + 1, done + 7 -- to move a job takes as long as so many entries
    end
  end
end
flush()
nudge_leader()
return { taken, looked }
