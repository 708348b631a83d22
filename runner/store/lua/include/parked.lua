-- parked: jobs of a paused task, or of a paused pool ('#pool' in the place of the task). A claim or a release that meets one moves it here, once, so that it stands in nobody's way; when the pause is
-- over they go back, in their order.
-- include: lazily, sets_by_name
local parked = lazily(function(parked)
  local PARKED = prefix .. 'parked'
  local function jobs_key(task) return prefix .. 'parked:' .. task end

  -- A job with limits by its rank, another one by the entry that it leaves: milliseconds and a count.
  local A_MILLISECOND = 4096
  local function score_of(rank, entry)
    if rank then return rank end
    local milliseconds, count = string.match(entry or '', '^(%d+)-(%d+)$')
    return (tonumber(milliseconds) or 0) * A_MILLISECOND + math.min(tonumber(count) or 0, A_MILLISECOND - 1)
  end

  -- Returns whether it is there: not if somebody has put something else under these keys.
  function parked.add(id, task, rank, entry)
    if type(redis.pcall('ZADD', PARKED, 'NX', int(now), task)) == 'table' then return false end
    if type(redis.pcall('ZADD', jobs_key(task), int(score_of(rank, entry)), id)) == 'table' then return false end
    redis.call('HSET', job_key(id), 'state', 'scheduled', 'held', 'pause', 'reason', 'paused')
    return true
  end

  function parked.forget_empty(task)
    if redis.call('EXISTS', jobs_key(task)) == 0 then redis.call('ZREM', PARKED, task) end
  end

  function parked.remove(id, task)
    local is_removed = redis.call('ZREM', jobs_key(task), id) == 1
    if is_removed then parked.forget_empty(task) end
    return is_removed
  end

  -- Tasks that have such jobs: those first that were not looked at for longest.
  function parked.tasks(most) return redis.call('ZRANGE', PARKED, 0, most - 1) end
  function parked.looked_at(task) redis.call('ZADD', PARKED, 'XX', int(now), task) end

  function parked.some(task, most) return redis.call('ZRANGE', jobs_key(task), 0, most - 1) end

  function parked.count() return count_by_name('parked') end

  return parked
end)
