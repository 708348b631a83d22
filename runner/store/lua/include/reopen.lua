-- reopen: bring lines back that have stepped aside, into the orders of their buckets, for a pool that has free slots.
-- include: release
local reopen
do
  local least = tonumber(least_share) / 1000000

  -- Bring back up to `most` lines of a pool. Returns how many.
  function reopen(pool, most)
    local count = 0
    if redis.call('EXISTS', pool_lines.key(pool)) == 0 then return count end

    -- The line whose turn it is: of the highest class, but for what the lower ones are owed.
    local function next_of(pool)
      local key = pool_lines.key(pool)
      local place = redis.call('HINCRBY', pool_lines.TURNS, pool, 1) % order.MOST_TURNS * GOLDEN % 1
      local class = place >= 1 - least and 3 or place >= 1 - 2 * least and 2 or 1
      local row = class > 1 and redis.call('ZRANGEBYSCORE', key, int(class * pool_lines.CLASS), '(' .. int((class + 1) * pool_lines.CLASS), 'WITHSCORES', 'LIMIT', 0, 1) or {}
      if not row[1] then row = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES') end
      return row[1], tonumber(row[2])
    end

    local function bring_back(line)
      if string.find(line, ';', 1, true) then return turns.advance(records.of(line), open_line(line), 1) end
      local b = load_bucket(string.match(line, '|([^@]*)'))
      join(line, b, now + wait_of(b, 1, true))
    end

    while count < most and not is_over() do
      local line, score = next_of(pool)
      if not line then break end
      redis.call('ZREM', pool_lines.key(pool), line)
      if redis.call('EXISTS', line_key(line)) == 1 then
        redis.call('HSET', pool_lines.TURNS, line, int(score % pool_lines.CLASS))
        bring_back(line)
      end
      count = count + 1
    end
    return count
  end
end
