-- granting: who gets the tokens of a shared limit that have landed. Partitions in line have turns by what they got before, for their weight
-- (start-time fair queueing); each gets what its next jobs cost, whole jobs only, and no more than its share of a round.
-- include: bucket, leases
local granting = {}
local joint -- asks of several buckets, which stand in the same lines

-- The cost of the next job: never more than all there can be.
local function need_of(s, r) return math.min(tonumber(string.match(r.costs, 'x(%d+)')), s.b.policy.capacity) end

-- How many tokens can be given a partition in this turn. `kept`: for others.
local function room_for(s, r, kept) return math.min(s.b.kind.available(s.b) - s.out - kept, s.share, s.most - leases.held(r)) end

do
  local ROUND_US, MOST_AT_ONCE, MOST_TURNS, MOST_PASSED = 50000, 64, 64, 16
  local SHORTEST_US, LONGEST_US, BLOCKED_US, AGAIN_US, LONGEST_WAIT_US = 20000, 500000, 100000, 1000000, 31622400000000

  -- How many tokens one round may give a partition (`share`), and how many it may hold (`most`): half of the bucket over all, so nobody ties it up.
  function granting.begin(s)
    local p = s.b.policy
    s.active = math.max(redis.call('ZCARD', s.alive), 1)
    local round = p.every_us and p.refill * ROUND_US / p.every_us or MOST_AT_ONCE
    s.share, s.most = math.max(math.floor(math.min(round, p.capacity / 4) / s.active), 1), math.max(math.floor(p.capacity / 2 / s.active), 1)
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
    r.costs = table.concat(rest, ' ')
    return total
  end

  -- µs until a bucket has tokens for a job of so many, and whether that takes a report first.
  function granting.wait_for(s, need, kept)
    if need + s.out + kept > s.b.policy.capacity then return AGAIN_US, true end
    local wait = wait_of(s.b, need, false, s.out + kept)
    return math.min(wait, LONGEST_WAIT_US), wait >= NEVER
  end

  -- So many tokens go to a partition, in a turn that began at `pass`. It is charged so many, and has its next turn after those who got less.
  -- `member`: of the line, if it stands in this one; it leaves that if it asks for nothing more.
  function granting.give(s, r, tokens, pass, charged, member, goes_on)
    r.granted, r.changed, s.changed = r.granted + tokens, true, true
    s.out, s.v = s.out + tokens, math.max(s.v, pass)
    r.pass = math.max(r.pass, pass) + charged / math.max(r.weight, 1)
    if goes_on then return redis.call('ZADD', s.asking, string.format('%.17g', r.pass), member) end
    if member then redis.call('ZREM', s.asking, member) end
  end

  -- The first in line who does not hold its part of the bucket already: a partition and its record, or an ask of several buckets; and its pass.
  -- nil, and whether any is in line.
  function granting.next_in_line(s)
    local rows = redis.call('ZRANGE', s.asking, 0, MOST_PASSED - 1, 'WITHSCORES')
    for at = 1, #rows, 2 do
      local is_joint = string.find(rows[at], ' ', 1, true)
      local r = is_joint and joint.at(rows[at]) or not is_joint and leases.record(s, rows[at])
      if not r or r.costs == '' then
        redis.call('ZREM', s.asking, rows[at])
      else
        local held = r.set and 0 or leases.held(r)
        local is_full = r.set and joint.is_full(r) or held > 0 and held + need_of(s, r) > s.most
        if not is_full then return rows[at], r, tonumber(rows[at + 1]) end
      end
    end
    return nil, #rows > 0
  end

  -- Serve the line. Returns the instant at which the next in line can be served (nil: nobody waits), and whether that takes a report first.
  function granting.serve(s, caller)
    for _ = 1, MOST_TURNS do
      local member, r, pass = granting.next_in_line(s)
      if not member then return r and now + AGAIN_US or nil, r end
      if r.set then
        local wait, is_blocked = joint.have_turn(s, r, pass, caller)
        if wait > 0 then return now + wait, is_blocked end
      else
        local kept = s.aside and joint.kept(s) or 0
        local wait, is_blocked = granting.wait_for(s, need_of(s, r), kept)
        if wait > 0 then return now + wait, is_blocked end
        local total = grant(s, r, room_for(s, r, kept))
        granting.give(s, r, total, pass, total, member, r.costs ~= '')
        if member ~= caller then leases.tell(member, s.b.name .. ' ' .. int(r.granted) .. (r.costs == '' and ' 0' or ' 1')) end
      end
    end
    return now, false
  end

  -- A partition asks for its next jobs, or for none. A new member of the line has its turn after those who have got as much. `member`: if it is an
  -- ask of several buckets.
  function granting.ask(s, partition, r, costs, member)
    if not member then r.costs = costs end
    if costs == '' then return redis.call('ZREM', s.asking, partition) end
    if redis.call('ZSCORE', s.asking, member or partition) then return end
    redis.call('ZADD', s.asking, string.format('%.17g', math.max(r.pass, s.v)), member or partition)
    if redis.call('ZCARD', s.asking) == 1 then s.kept, s.changed = 0, true end -- a key without a time to live
  end

  -- One of those in line comes when the next token has landed, the others a little later, in case it does not. `s.first`: the
  -- place of the first ask of several buckets that is this partition's and stands in the same line.
  -- Returns its place in line (-1: none), µs until to come again (-1: no need), and whether the caller is the one.
  function granting.drive(s, partition, wake, is_blocked)
    local p = s.b.policy
    local grace = math.min(math.max(p.capacity * p.period_us / 4, SHORTEST_US), LONGEST_US)
    if is_blocked then grace = math.max(grace, BLOCKED_US) end
    local place = redis.call('ZRANK', s.asking, partition)
    local first = s.first and math.min(s.first, place or s.first) or place
    if wake and not is_blocked and (not s.driver or s.driver == partition or s.due + grace < now or s.due > wake) then
      s.driver, s.due = partition, wake
      return place or -1, math.min(math.max(wake - now, 0), leases.LAPSE_US / 2), true
    end
    -- Who has come and is not to come again at once is not waited for: whoever makes room by its report comes in its place.
    if s.driver == partition then s.driver = nil end
    if first then return place or -1, math.min(math.max(s.due - now, 0) + grace * (1 + first), leases.LAPSE_US / 2), false end
    return -1, -1, false
  end
end
