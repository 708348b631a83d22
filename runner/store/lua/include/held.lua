-- held: jobs that no worker of today can run. They are in no stream, line or schedule until a worker comes that serves their task and reads
-- their pool. They are held by that: 'task', or 'task#pool'.
-- include: lazily, specs, parked, sets_by_name
local held = lazily(function(held)
  local UNSERVED = prefix .. 'unserved'
  local FIRST_US, LONGEST_US = 50000, 2000000
  local BOUNCES, PATIENT_FROM, APART_US, GRID_US, MOST_AHEAD_US = prefix .. 'bounces', 4, 10000, 250000, 3600000000
  local function jobs_key(name) return prefix .. 'unserved:' .. name end
  local function name_of(task, line)
    local pool = pool_of(line)
    return pool and task .. '#' .. pool or task
  end

  -- Jobs that have bounced for long wait for workers that are busy: all of them together move a hundred times a second at most, many at a
  -- time, however many they are. `bounces` is the instant up to which such moves are given away.
  local function patient(due)
    local given = redis.pcall('GET', BOUNCES)
    given = type(given) == 'string' and number_in(given) or 0
    local free = math.min(math.max(given, now), now + MOST_AHEAD_US) + APART_US
    redis.call('SET', BOUNCES, int(free), 'PX', int(math.ceil((free - now) / 1000)))
    return due >= free and due or math.ceil(free / GRID_US) * GRID_US
  end

  -- Another live worker can run the job: it comes to a stream again soon, for whoever reads that next. Workers read in turns of a fixed
  -- length: without a part of chance the same one could meet the job each time.
  function held.bounce(id)
    local bounced = redis.call('HINCRBY', job_key(id), 'bounced', 1)
    local wait = math.min(FIRST_US * 2 ^ math.min(bounced - 1, 10), LONGEST_US)
    local due = now + math.floor(wait * (0.5 + (now % 1000000) * GOLDEN % 1 / 2))
    if bounced >= PATIENT_FROM then due = patient(due) end
    redis.call('HSET', job_key(id), 'state', 'scheduled', 'reason', 'bounced')
    note_due(due, prefix .. 'scheduled')
    redis.call('ZADD', prefix .. 'scheduled', int(due), id)
  end

  -- The worker that met it has no room for it. It comes back soon, and the later the more such jobs there are: together they are met some 700
  -- times a second at most, as long as they are less than 5,000.
  local EACH_US, LONGEST_FOR_ROOM_US = 2000, 10000000
  function held.until_room(id, expires)
    begin_wait(id, expires)
    local others = redis.call('ZCOUNT', prefix .. 'scheduled', '-inf', int(now + LONGEST_FOR_ROOM_US))
    local wait = math.min(math.max(others * EACH_US, FIRST_US), LONGEST_FOR_ROOM_US)
    local due = now + math.floor(wait * (0.5 + (now % 1000000 + others) * GOLDEN % 1 / 2))
    redis.call('HSET', job_key(id), 'state', 'scheduled', 'reason', 'slots')
    note_due(due, prefix .. 'scheduled')
    redis.call('ZADD', prefix .. 'scheduled', int(due), id)
  end

  function held.add(id, name)
    redis.call('HSET', job_key(id), 'state', 'scheduled', 'held', 'worker', 'reason', 'no worker')
    redis.call('ZADD', jobs_key(name), int(now), id)
    redis.call('ZADD', UNSERVED, 'NX', int(now), name)
  end

  -- Whether a live worker serves the task of such jobs, and reads their pool.
  function held.is_served(name)
    local task, pool = string.match(name, '^([^#]*)#?(.*)$')
    return specs.is_served('t:' .. task, pool)
  end

  -- A worker cannot run a job: it does not know the task or, with a payload, its arguments are not those of the worker's version. For the
  -- first any other worker will do that lives or will come, for the second one of the job's own version that lives.
  function held.is_for_another(id, task, payload)
    if payload == '' then return true end
    local spec, line = read_job(id, 'spec', 'line')
    return specs.is_served('v:' .. task .. ':' .. (spec or ''), pool_of(line) or '')
  end

  -- The job goes where another worker finds it.
  function held.leave_to_another(id, task, payload, expires)
    begin_wait(id, expires)
    local name = name_of(task, read_job(id, 'line'))
    if payload ~= '' or held.is_served(name) then held.bounce(id) else held.add(id, name) end
  end

  -- Take a job out of where it waits for a time, for other jobs, for a worker, or for the end of a pause.
  function held.remove(id, task, line)
    if redis.call('ZREM', prefix .. 'scheduled', id) == 1 or redis.call('ZREM', prefix .. 'held', id) == 1 or not task then return end
    local name = name_of(task, line)
    if redis.call('ZREM', jobs_key(name), id) == 0 then
      local pool = pool_of(line) or 'default'
      return parked.remove(id, task) or parked.remove(id, '#' .. pool) or parked.remove(id, '#' .. base_pool(pool))
    end
    held.forget_empty(name)
  end

  function held.forget_empty(name)
    if redis.call('EXISTS', jobs_key(name)) == 0 then redis.call('ZREM', UNSERVED, name) end
  end

  -- What such jobs are held by: those first that were not looked at for longest.
  function held.names(most) return redis.call('ZRANGE', UNSERVED, 0, most - 1) end
  function held.looked_at(name) redis.call('ZADD', UNSERVED, 'XX', int(now), name) end
  function held.some(name, most) return redis.call('ZRANGE', jobs_key(name), 0, most - 1) end

  function held.count() return parked.count() + count_by_name('unserved') end

  return held
end)
