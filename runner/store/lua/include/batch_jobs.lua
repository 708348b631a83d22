-- batch_jobs: the jobs of a batch as lists read them: its members, see nodes, by what has become of them and, of each kind, in the order in which
-- they were added. Reads only.
-- include: base, pages, member_codes
local batch_jobs = {}

do
  local CODES = { queued = 0, waiting = 0, scheduled = 0, running = 0, succeeded = 1, failed = 2, cancelled = 3, expired = 4 }

  -- The scores of the members that can be in one of the states (a set; nil: in any).
  local function range_of(states)
    local first, last = 4, 0
    for state, code in pairs(CODES) do
      if not states or states[state] then first, last = math.min(first, code), math.max(last, code) end
    end
    return { from = int(first * INDEXES), to = int((last + 1) * INDEXES - 1) }
  end

  function batch_jobs.walk(filter, place, emit)
    return pages.of_sets({ prefix .. 'after:' .. '#' .. filter.batch }, range_of(filter.states), place, emit)
  end

  -- Whether a job is of the batch: one whose id was used again need not be.
  function batch_jobs.has(id, batch)
    local words = redis.call('HGET', job_key(id), 'then')
    if not words then return false end
    local node = '#' .. batch
    if string.find(' ' .. words .. ' ', ' after=' .. node .. ' ', 1, true) then return true end
    return string.find(' ' .. words .. ' ', ' more ', 1, true) and redis.call('ZSCORE', prefix .. 'followers:' .. id, node) and true or false
  end
end
