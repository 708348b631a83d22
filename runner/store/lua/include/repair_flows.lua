-- repair_flows: members of followers and batches that have ended, or gone, without the knowledge of this version; and followers that nobody has
-- sealed, or whose own record is gone.
-- include: repairs, flows
do
  local UNSEALED_US = 600000000 -- 10 minutes

  -- Look at some of the members that are pending, from a place on among these. Returns how many were put right, how many were looked at, and
  -- the place of the next; nil if all were looked at.
  local function look_at_members(node, from, most)
    local mended, pending = 0, 0
    local page = redis.call('ZRANGEBYSCORE', nodes.after_key(node), 0, '(' .. int(INDEXES), 'LIMIT', from, most)
    for _, id in ipairs(page) do
      local state = read_job(id, 'state')
      local code = not state and nodes.GONE or nodes.CODES[state]
      if code then
        nodes.set_code(node, id, code)
        mended = mended + 1
      else
        pending = pending + 1
      end
    end
    return mended, #page, #page == most and from + pending or nil
  end

  -- One that is not held any more leaves the list; one of whose caller nobody has heard is forgotten.
  local function is_in_order(id, since)
    local state, why, batch = read_job(id, 'state', 'held', 'batch')
    if state ~= 'scheduled' or why ~= 'jobs' and why ~= 'building' then
      redis.call('ZREM', nodes.HELD, id)
      if not state then redis.call('UNLINK', nodes.after_key(id)) end
      return false
    end
    if why == 'building' then
      if now - tonumber(since) > UNSEALED_US then flows.drop(id) end
      return false
    end
    if batch and redis.call('EXISTS', nodes.batch_key('#' .. batch)) == 0 then
      flows.end_without_batch(id)
      return false
    end
    return not batch
  end

  -- The cursor: the place in the list, and that among the pending members of the node there.
  local function pages_of(name, key, node_of, is_whole)
    repairs[#repairs + 1] = {
      name = name,
      size = function() return redis.call('ZCARD', key) end,
      page = function(cursor, budget)
        local at, from = string.match(cursor, '^(%d+):?(%d*)$')
        at, from = tonumber(at) or 0, tonumber(from) or 0
        local left, mended = budget, 0
        local rows = redis.call('ZRANGE', key, at, at + budget - 1, 'WITHSCORES')
        for row = 1, #rows, 2 do
          if left < 1 then return int(at), mended end
          left = left - 1
          local node = node_of(rows[row])
          if is_whole(rows[row], rows[row + 1]) then
            local put_right, looked, next_from = look_at_members(node, from, math.max(left, 1))
            mended, left = mended + put_right, left - looked
            if put_right > 0 then nodes.note(node) end
            if next_from then return int(at) .. ':' .. int(next_from), mended end
            nodes.note(node)
          end
          if redis.call('ZSCORE', key, rows[row]) then at = at + 1 else mended = mended + 1 end
          from = 0
        end
        return #rows == 2 * budget and int(at) or '0', mended
      end,
    }
  end

  pages_of('held', nodes.HELD, function(id) return id end, is_in_order)
  pages_of('batches', nodes.BATCHES, function(id) return '#' .. id end, function(id)
    if redis.call('EXISTS', nodes.batch_key('#' .. id)) == 1 then return true end
    redis.call('ZREM', nodes.BATCHES, id)
    redis.call('UNLINK', nodes.after_key('#' .. id))
    return false
  end)
end
