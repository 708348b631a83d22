-- marks: which job holds the mark of a unique task. `unique` leads from a mark to "<until_us> <id>". It is an index: beyond that instant it
-- counts only as long as the record of the job says so too, so a mark never outlives its job.
-- include: base, lazily
local marks = lazily(function(marks)
  local UNIQUE = prefix .. 'unique'

  -- The instant until which a mark is held whatever becomes of its job, and the job; nothing if it is free, or damaged.
  local function read(mark)
    local value = redis.pcall('HGET', UNIQUE, mark)
    if type(value) ~= 'string' then return nil end
    local until_us, id = string.match(value, '^(%d+) (%S+)$')
    return number_in(until_us), id
  end

  -- Whether a job keeps its mark: until its end, or until its start. One that was claimed once has started.
  local function keeps(id, mark)
    local state, its_mark, mode, started = read_job(id, 'state', 'unique', 'mode', 'started')
    return state and its_mark == mark and not FINAL[state] and not (mode == 'start' and started)
  end

  -- The job that holds the mark; nil if none does. And whether it keeps it as its record says.
  function marks.holder(mark)
    local until_us, id = read(mark)
    if not until_us then return nil end
    local kept = keeps(id, mark)
    if kept or until_us > now then return id, kept end
  end

  function marks.take(mark, until_us, id) redis.call('HSET', UNIQUE, mark, int(until_us) .. ' ' .. id) end

  -- The instant until which this job holds the mark in any case; 0 if there is none.
  function marks.until_of(mark, id)
    local until_us, holder = read(mark)
    return holder == id and until_us or 0
  end

  -- A job has ended: its own mark is free. One that holds for a period stays, and the record of its job with it.
  function marks.release(id)
    local mark = read_job(id, 'unique')
    if not mark then return end
    local until_us, holder = read(mark)
    if holder ~= id then return end
    if until_us <= now then return redis.call('HDEL', UNIQUE, mark) end
    local left = math.ceil((until_us - now) / 1000)
    if redis.call('PTTL', job_key(id)) < left then redis.call('PEXPIRE', job_key(id), int(left)) end
  end

  -- The record of a job is deleted, and with it its mark, whatever its time is.
  function marks.drop(mark, id)
    local _, holder = read(mark)
    if holder == id then redis.call('HDEL', UNIQUE, mark) end
  end

  -- Free those of these marks that no job holds; how many. `entries`: marks and their values by turns, as HSCAN returns them.
  function marks.free_stale(entries)
    local freed = 0
    for at = 1, #entries, 2 do
      if not marks.holder(entries[at]) then freed = freed + redis.call('HDEL', UNIQUE, entries[at]) end
    end
    return freed
  end

  function marks.page(cursor, budget) return redis.call('HSCAN', UNIQUE, cursor, 'COUNT', budget) end
  function marks.count() return redis.call('HLEN', UNIQUE) end

  return marks
end)
