-- granting: who gets the tokens of a shared limit that have landed. Partitions in line have turns by what they got before, for their weight
-- (start-time fair queueing); each gets what its next jobs cost, whole jobs only, and no more than its share of a round.
-- include: bucket, leases
local granting = {}

do
  local ROUND_US, MOST_AT_ONCE, MOST_TURNS, MOST_PASSED = 50000, 64, 64, 16
  local SHORTEST_US, LONGEST_US, BLOCKED_US, AGAIN_US, LONGEST_WAIT_US = 20000, 500000, 100000, 1000000, 31622400000000

  -- The cost of the next job: never more than all there can be.
  local function need_of(s, r) return math.min(tonumber(string.match(r.costs, 'x(%d+)')), s.b.policy.capacity) end

  -- How many tokens one round may give a partition, and how many it may hold: half of the bucket over all, so nobody ties it up.
  function granting.shares(s)
    if s.shares then return unpack(s.shares) end
    local p = s.b.policy
    local active = math.max(redis.call('ZCARD', s.alive), 1)
    local round = p.every_us and p.refill * ROUND_US / p.every_us or MOST_AT_ONCE
    s.shares = { math.max(math.floor(math.min(round, p.capacity / 4) / active), 1), math.max(math.floor(p.capacity / 2 / active), 1), active }
    return unpack(s.shares)
  end

  -- The first job in any case, and those after it that fit into `room`. Returns their tokens; what is left of the costs stays asked for.
  local function grant(s, r, room)
    local total, rest, capacity = 0, {}, s.b.policy.capacity
    for count, cost in string.gmatch(r.costs, '(%d+)x(%d+)') do
      count, cost = tonumber(count), math.min(tonumber(cost), capacity)
      local fits = #rest == 0 and math.max(math.min(count, math.floor((room - total) / cost)), total == 0 and 1 or 0) or 0
      total = total + fits * cost
      if count > fits then rest[#rest + 1] = int(count - fits) .. 'x' .. int(cost) end
    end
    r.costs, r.granted, r.changed = table.concat(rest, ' '), r.granted + total, true
    s.out = s.out + total
    return total
  end

  -- The first partition in line that does not hold its part of the bucket already; nil, and whether any is in line.
  local function next_in_line(s, most)
    local rows = redis.call('ZRANGE', s.asking, 0, MOST_PASSED - 1, 'WITHSCORES')
    for at = 1, #rows, 2 do
      local r = leases.record(s, rows[at])
      if r.costs == '' then
        redis.call('ZREM', s.asking, rows[at])
      else
        local held = leases.held(r)
        if held == 0 or held + need_of(s, r) <= most then return rows[at], r, tonumber(rows[at + 1]) end
      end
    end
    return nil, #rows > 0
  end

  -- Serve the line. Returns the instant at which the next in line can be served (nil: nobody waits), and whether that takes a report first.
  function granting.serve(s, caller)
    local b = s.b
    local share, most = granting.shares(s)
    for _ = 1, MOST_TURNS do
      local partition, r, pass = next_in_line(s, most)
      if not partition then return r and now + AGAIN_US or nil, r end
      local need = need_of(s, r)
      if need + s.out > b.policy.capacity then return now + AGAIN_US, true end
      local wait = wait_of(b, need, false, s.out)
      if wait > 0 then return now + math.min(wait, LONGEST_WAIT_US), wait >= NEVER end
      local room = math.min(b.kind.available(b) - s.out, share, most - leases.held(r))
      local total = grant(s, r, room)
      s.v = math.max(s.v, pass)
      r.pass = pass + total / math.max(r.weight, 1)
      if r.costs == '' then redis.call('ZREM', s.asking, partition) else redis.call('ZADD', s.asking, string.format('%.17g', r.pass), partition) end
      if partition ~= caller then leases.tell(s, partition, int(r.granted) .. ' ' .. (r.costs == '' and 0 or 1)) end
    end
    return now, false
  end

  -- A partition asks for its next jobs, or for none.
  function granting.ask(s, partition, r, costs)
    r.costs = costs
    if costs == '' then return redis.call('ZREM', s.asking, partition) end
    if not redis.call('ZSCORE', s.asking, partition) then
      redis.call('ZADD', s.asking, string.format('%.17g', math.max(r.pass, s.v)), partition)
      if redis.call('ZCARD', s.asking) == 1 then s.kept = 0 end -- a key without a time to live
    end
  end

  -- One of those in line comes when the next token has landed, the others a little later, in case it does not.
  -- Returns the place in line (-1: none), µs until to come (-1: no need), and whether the caller is the one.
  function granting.drive(s, partition, wake, is_blocked)
    local p = s.b.policy
    local grace = math.min(math.max(p.capacity * p.period_us / 4, SHORTEST_US), LONGEST_US)
    if is_blocked then grace = math.max(grace, BLOCKED_US) end
    local place = redis.call('ZRANK', s.asking, partition)
    if wake and not is_blocked and (not s.driver or s.driver == partition or s.due + grace < now or s.due > wake) then
      s.driver, s.due = partition, wake
      return place or -1, math.min(math.max(wake - now, 0), leases.LAPSE_US / 2), true
    end
    if place then return place, math.min(math.max(s.due - now, 0) + grace * (1 + place), leases.LAPSE_US / 2), false end
    if s.driver == partition then s.driver = nil end
    return -1, -1, false
  end
end
