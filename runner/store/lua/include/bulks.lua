-- bulks: acts upon all jobs that a filter asks for. The record of one says how far it is: it is `counting` its jobs, has them `counted` and waits
-- to be confirmed with their number, is `acting` page by page, and then `done`, or `stopped`, or `lapsed` as nobody confirmed it.
-- `bulks` has the open ones by the instant they began, and those that are over by minus the instant of their end.
-- include: base, audit_line
local bulks = { SET = prefix .. 'bulks', MOST_OPEN = 10, CONFIRM_US = 3600000000 }

do
  local KEPT_US, LONGEST_OPEN_MS = 604800000000, 2592000000 -- a week after its end; a month for all of it
  local OPEN = { counting = true, counted = true, acting = true }

  function bulks.key(id) return prefix .. 'bulk:' .. id end

  -- Fields of a record, in the order of their names; false for one that it does not have.
  function bulks.read(id, ...) return unpack(redis.call('HMGET', bulks.key(id), ...)) end
  function bulks.is_open(phase) return OPEN[phase] or false end

  function bulks.write(id, ...)
    redis.call('HSET', bulks.key(id), ...)
    redis.call('PEXPIRE', bulks.key(id), LONGEST_OPEN_MS)
  end

  -- The records of open ones, those that began first before the others. What was deleted by hand is forgotten.
  function bulks.open()
    local found = {}
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', bulks.SET, '(0', '+inf', 'LIMIT', 0, 2 * bulks.MOST_OPEN)) do
      local phase, counted_at = bulks.read(id, 'phase', 'counted_at')
      if OPEN[phase] then
        found[#found + 1] = { id = id, phase = phase, counted_at = number_in(counted_at) }
      else
        redis.call('ZREM', bulks.SET, id)
      end
    end
    return found
  end

  -- It is over. What it came to goes into the audit, as the act of who began it, if it was confirmed.
  function bulks.finish(id, phase)
    bulks.write(id, 'phase', phase, 'ended_at', int(now))
    redis.call('HDEL', bulks.key(id), 'cursor')
    redis.call('PEXPIRE', bulks.key(id), int(KEPT_US / 1000))
    redis.call('ZADD', bulks.SET, int(-now), id)
    for _, old in ipairs(redis.call('ZRANGEBYSCORE', bulks.SET, '(' .. int(KEPT_US - now), '(0', 'LIMIT', 0, MOST_ENTRIES)) do
      redis.call('ZREM', bulks.SET, old)
    end
    redis.call('PEXPIRE', bulks.SET, LONGEST_OPEN_MS)
    local action, reason, by, confirmed, done, skipped = bulks.read(id, 'action', 'reason', 'by', 'confirmed_at', 'done', 'skipped')
    if confirmed then
      audit(action .. ' many', 'bulk ' .. id, 'acting', phase, reason or '', done .. ' done, ' .. skipped .. ' skipped', by)
    end
  end
end
