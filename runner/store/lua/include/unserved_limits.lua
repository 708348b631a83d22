-- unserved_limits: limits of tasks with jobs that wait for a worker which serves them.
-- include: base, held, specs
local unserved = {}

do
  local workers, by_limit

  function unserved.workers()
    workers = workers or redis.call('ZCOUNT', prefix .. 'workers', int(now), '+inf')
    return workers
  end

  -- The tasks that were looked at longest ago come first; there are few as a rule.
  local function jobs_by_limit()
    if by_limit then return by_limit end
    by_limit = {}
    for _, name in ipairs(held.names(MOST_ENTRIES)) do
      local task = specs.read(string.match(name, '^[^#]*'))
      local jobs = task and task.limits ~= '' and redis.call('ZCARD', prefix .. 'unserved:' .. name) or 0
      for limit in string.gmatch(jobs > 0 and task.limits or '', '[^,]+') do by_limit[limit] = (by_limit[limit] or 0) + jobs end
    end
    return by_limit
  end

  -- How many jobs of a limit there are for which no worker is: without any worker that is its whole line.
  function unserved.of_limit(name, count)
    return (jobs_by_limit()[name] or 0) + (unserved.workers() == 0 and count.waiting or 0)
  end
end
