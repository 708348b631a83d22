-- joint: asks for tokens of several buckets, for jobs that need them all. A job gets all of its tokens together, or none: hands that hold a part of
-- what their jobs need would lock up what others need. Such an ask stands in the line of one of its buckets, of the one for which it has to wait
-- longest, and has its turn there. If another bucket lacks tokens then, it goes to the line of that one, and its tokens here are kept for it.
-- What a partition is charged is its dominant share: of the limit that it takes most of, in tokens of each bucket.
--   asks:<partition>  for each set of buckets ("a;b"): until when the ask counts, the bucket in whose line it stands, and what the jobs cost
--                     ("3x1+20 1x1+300": three jobs of 1 token of a and 20 of b, then one of 1 and 300)
-- include: granting
joint = lazily(function(joint)
  local KEPT_MS, FIRST_US, LONGEST_KEPT_US = 10000, 100000, 60000000
  local asks = {} -- of this call, by member of a line: partition and set

  -- The lease of a bucket, brought to `now`; nil for one of a limit that nobody has published here.
  local function lease_of(name)
    local b = load_bucket(name)
    if b.kind and not b.lease then leases.lapse(leases.open(b)) end
    return b.lease
  end

  local function asks_key(partition) return prefix .. 'asks:' .. partition end

  -- The ask of a partition for a set of buckets; false if it counts no more.
  function joint.of(partition, set)
    local member = partition .. ' ' .. set
    if asks[member] ~= nil then return asks[member] end
    local text = redis.call('HGET', asks_key(partition), set)
    local until_us, at, costs = string.match(text or '', '^(%d+) (%S+) (.+)$')
    local is_live = until_us and tonumber(until_us) > now
    asks[member] = is_live and { member = member, partition = partition, set = set, at = at, costs = costs, until_us = tonumber(until_us) } or false
    return asks[member]
  end

  -- The same as a member of a line.
  function joint.at(member) return joint.of(string.match(member, '^(%S+) (%S+)$')) end

  local function write(a)
    if a.costs ~= '' then return redis.call('HSET', asks_key(a.partition), a.set, int(a.until_us) .. ' ' .. a.at .. ' ' .. a.costs) end
    redis.call('HDEL', asks_key(a.partition), a.set)
    asks[a.member] = false
  end

  -- What jobs of these costs ("1+20") need: for each bucket its lease, the record of the partition there, and the tokens, never more than all
  -- there can be. nil if a limit is not published here any more.
  local function needs_for(a, costs)
    local needs, numbers = {}, string.gmatch(costs, '%d+')
    for bucket in string.gmatch(a.set, '[^;]+') do
      local s = lease_of(bucket)
      if not s then return nil end
      if s.most == 0 then granting.begin(s) end
      local tokens = tonumber(numbers() or 1)
      needs[#needs + 1] = { s = s, r = leases.record(s, a.partition), tokens = math.min(tokens, s.b.policy.capacity) }
    end
    return needs
  end

  local function first_needs(a) return needs_for(a, string.match(a.costs, 'x([%d+]+)')) end

  -- Whether a partition holds its part of one of the buckets already.
  function joint.is_full(a)
    local is_any_held, is_full = false, false
    for _, need in ipairs(first_needs(a) or {}) do
      local held = leases.held(need.r)
      is_any_held, is_full = is_any_held or held > 0, is_full or held + need.tokens > need.s.most
    end
    return is_any_held and is_full
  end

  -- The tokens of a bucket that are kept for an ask which waits elsewhere, unless it is this one.
  function joint.kept(s, a)
    local tokens, until_us, member = string.match(s.aside or '', '^(%d+) (%d+) (.+)$')
    local is_kept = member and tonumber(until_us) > now
    if is_kept and a and member == a.member then return 0 end
    local other = is_kept and joint.at(member)
    if other and other.at ~= s.b.name then return tonumber(tokens) end
    s.aside, s.changed = nil, true
    return 0
  end

  local function kept_for_others(s, a) return s.aside and joint.kept(s, a) or 0 end

  local function is_kept_for(s, a) return kept_for_others(s, a) == 0 and s.aside ~= nil end

  -- µs until an ask can have its tokens of a bucket in whose line it does not stand. There it overtakes nobody who waits.
  local function wait_elsewhere(a, need)
    local s = need.s
    local wait = granting.wait_for(s, need.tokens, kept_for_others(s, a))
    if wait > 0 or is_kept_for(s, a) then return wait end
    local member, _, pass = granting.next_in_line(s)
    return member and pass < math.max(need.r.pass, s.v) and FIRST_US or 0
  end

  -- The need for which an ask has to wait longest but for that at `but`, and for how long; nil if it need not wait.
  local function longest_wait(a, needs, but)
    local worst, longest = nil, 0
    for _, need in ipairs(needs) do
      local wait = need.s ~= but and wait_elsewhere(a, need) or 0
      if wait > longest then worst, longest = need, wait end
    end
    return worst, longest
  end

  -- Leave the line of `s`, where its tokens are, for the one of a bucket that lacks some. Somebody has to come when those have landed.
  local function move(a, s, here, to, wait, caller)
    redis.call('ZREM', s.asking, a.member)
    granting.ask(to.s, a.partition, to.r, a.costs, a.member)
    a.at, to.s.is_due, s.changed = to.s.b.name, true, true
    write(a)
    -- Where tokens are kept for another, it would wait for one that waits for it.
    if not s.aside and kept_for_others(to.s, a) == 0 then
      s.aside = int(here.tokens) .. ' ' .. int(now + math.min(2 * wait + FIRST_US, LONGEST_KEPT_US)) .. ' ' .. a.member
    end
    if a.partition ~= caller and not (to.s.driver and to.s.due <= now + wait) then leases.tell(a.partition, to.s.b.name .. ' recall') end
  end

  -- How many more jobs of the same costs fit beside what is given already.
  local function fitting(needs, rooms, most)
    for i, need in ipairs(needs) do most = math.min(most, math.floor((rooms[i] - need.total) / need.tokens)) end
    return most
  end

  -- The tokens of the first job, and of those after it that fit. What is left of the costs stays asked for.
  local function take(a, needs)
    local rooms, rest, any = {}, {}, false
    for i, need in ipairs(needs) do
      rooms[i] = room_for(need.s, need.r, kept_for_others(need.s, a))
      need.total = 0
    end
    for count, costs in string.gmatch(a.costs, '(%d+)x([%d+]+)') do
      count = tonumber(count)
      for i, need in ipairs(#rest == 0 and needs_for(a, costs) or {}) do needs[i].tokens = need.tokens end
      local fits = #rest == 0 and math.max(fitting(needs, rooms, count), any and 0 or 1) or 0
      for _, need in ipairs(needs) do need.total = need.total + fits * need.tokens end
      any = true
      if count > fits then rest[#rest + 1] = int(count - fits) .. 'x' .. costs end
    end
    a.costs = table.concat(rest, ' ')
  end

  local function give(a, s, needs, pass, caller)
    local took_us, words = 0, {}
    take(a, needs)
    for _, need in ipairs(needs) do took_us = math.max(took_us, need.total * need.s.b.policy.period_us) end
    for _, need in ipairs(needs) do
      local its = need.s == s and pass or math.max(need.r.pass, need.s.v)
      local member = need.s == s and a.member or nil
      granting.give(need.s, need.r, need.total, its, took_us / need.s.b.policy.period_us, member, member and a.costs ~= '')
      if is_kept_for(need.s, a) then need.s.aside, need.s.is_due = nil, need.s ~= s end
      words[#words + 1] = need.s.b.name .. ' ' .. int(need.r.granted) .. (#words == 0 and (a.costs == '' and ' 0' or ' 1') or '')
    end
    write(a)
    if a.partition ~= caller then leases.tell(a.partition, table.concat(words, ' ')) end
  end

  -- The turn of an ask in the line where it stands. Returns the µs until it can be served there, and whether that takes a report first; 0 if it
  -- has got something, or has left the line.
  function joint.have_turn(s, a, pass, caller)
    local needs, here = first_needs(a), nil
    for _, need in ipairs(needs or {}) do
      if need.s == s then here = need end
    end
    if not here then -- a limit is not published here any more
      redis.call('ZREM', s.asking, a.member)
      a.costs = ''
      write(a)
      return 0
    end
    local wait, is_blocked = granting.wait_for(s, here.tokens, kept_for_others(s, a))
    if wait > 0 then return wait, is_blocked end
    local to, longest = longest_wait(a, needs, s)
    if to then move(a, s, here, to, longest, caller) else give(a, s, needs, pass, caller) end
    return 0
  end

  -- Whether this call tells of all buckets of an ask, so that the leases of the partition there end when the ask does.
  local function are_told(set)
    for bucket in string.gmatch(set, '[^;]+') do
      local s = lease_of(bucket)
      if not (s and s.own) then return false end
    end
    return true
  end

  -- A partition asks for its next jobs that need all these buckets, or for none.
  function joint.ask(partition, set, costs)
    local a = joint.of(partition, set)
    local was_at = a and lease_of(a.at)
    if costs == '' or not are_told(set) then
      if was_at then redis.call('ZREM', was_at.asking, a.member) end
      if a then
        a.costs = ''
        write(a)
      end
      return
    end
    a = a or { member = partition .. ' ' .. set, partition = partition, set = set }
    a.costs, a.until_us = costs, now + leases.LAPSE_US
    asks[a.member] = a
    if not was_at or not redis.call('ZSCORE', was_at.asking, a.member) then
      local needs = first_needs(a)
      a.at = nil
      local to = longest_wait(a, needs) or needs[1]
      granting.ask(to.s, partition, to.r, costs, a.member)
      a.at = to.s.b.name
    end
    write(a)
    redis.call('PEXPIRE', asks_key(partition), KEPT_MS)
  end

  -- The place of an ask by now, and the bucket in whose line it stands; which is noted there.
  function joint.place_of(partition, set)
    local a = joint.of(partition, set)
    if not a then return { -1, '' } end
    local s = lease_of(a.at)
    local place = redis.call('ZRANK', s.asking, a.member) or -1
    if place >= 0 then s.first = math.min(s.first or place, place) end
    return { place, a.at }
  end


  return joint
end)
