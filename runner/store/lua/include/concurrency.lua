-- concurrency: the slots held, in holders:<bucket> (member: cost:holder; score: the instant at which it lapses, or for a job STARTED and the
-- instant of its start: its end, or reclaim if its worker lapses, gives the slot back). `used` is their sum; both are always changed together.
-- `held_us` is the mean time that jobs hold their slots, each new one weighing an eighth.
-- `notes` after a freeze: PROBE until one holder takes a slot, then '=' and that member until the slot comes back; no other job starts
-- until then.
local STARTED = 4503599627370496 -- 2^52

kinds.concurrency = lazily(function()
  local PROBE = 'probe'
  local PROBE_US = 60000000
  local MOST_EXPECTED = 50

  local function holders_key(b) return prefix .. 'holders:' .. b.name end

  local function note_held(b, member)
    local started = tonumber(redis.call('ZSCORE', holders_key(b), member) or 0) - STARTED
    if started <= 0 then return end
    local held = math.max(now - started, 1)
    b.held_us = b.held_us == 0 and held or math.max(math.floor(b.held_us + (held - b.held_us) / 8), 1)
  end

  local function mean_held(b) return b.held_us > 0 and b.held_us or 1000000 end

  local function release_slot(b, cost, member, notes)
    local held = redis.call('ZREM', holders_key(b), member) == 1
    if held then b.used = math.max(b.used - cost, 0) end
    if b.notes == '=' .. member then b.notes = notes end
    return held
  end

  -- A slot of a bucket that is of another kind by now; its sum is put away.
  local function release_old_slot(b, cost, member)
    if redis.call('ZREM', holders_key(b), member) == 0 then return false end
    local key = bucket_key(b.name)
    local kind = redis.call('HGET', key, 'kind')
    if kind then redis.call('HINCRBY', key, kind == 'concurrency' and 'used' or 'concurrency.used', -cost) end
    -- The bucket of a limit that is no longer in the catalog was kept for its slots alone.
    if not b.policy and redis.call('EXISTS', holders_key(b)) == 0 then redis.call('PEXPIRE', key, PROBE_US / 1000) end
    return true
  end

  return {
    reason = 'concurrency',
    gives_back = true,
    fields = { 'used', 'held_us' },
    second_key = holders_key,

    refill = function(b)
      -- The probe gave its slot back while the limit was of another kind.
      local probing = b.notes and string.match(b.notes, '^=(.+)$')
      if probing and not redis.call('ZSCORE', holders_key(b), probing) then b.notes, b.changed = '', true end
      if b.used == 0 then return end
      local lapsed = redis.call('ZRANGEBYSCORE', holders_key(b), '-inf', int(now), 'LIMIT', 0, 500)
      if #lapsed == 0 then return end
      for _, member in ipairs(lapsed) do release_slot(b, cost_of(member), member, '') end
      redis.call('HSET', bucket_key(b.name), 'used', int(b.used), 'notes', b.notes or '')
      b.was.used, b.was.notes = b.used, b.notes
      b.taken = true
    end,

    wait = function(b, cost, reserved)
      local most = b.policy.capacity
      if b.notes == PROBE and reserved > 0 then most = 0 end
      if b.notes and string.sub(b.notes, 1, 1) == '=' then most = 0 end
      if b.used + reserved + math.min(cost, b.policy.capacity) <= most then return 0 end
      -- A slot that comes back wakes the lines; only one that lapses does not.
      local lapse = tonumber(redis.call('ZRANGE', holders_key(b), 0, 0, 'WITHSCORES')[2] or NEVER)
      return lapse < STARTED and math.max(lapse - now, 1) or NEVER
    end,

    take = function(b, cost, holder, lapses)
      local member = member_of(cost, holder)
      if redis.call('ZADD', holders_key(b), 'NX', int(lapses or STARTED + now), member) == 1 then
        if b.used == 0 then b.renewed = true end
        b.used = b.used + cost
      end
      if b.notes == PROBE then b.notes = '=' .. member end
    end,

    refund = function(b, cost, holder) release_slot(b, cost, member_of(cost, holder), PROBE) end,

    settle = function() end,

    give_back = function(b, cost, holder)
      local member = member_of(cost, holder)
      if b.kind ~= kinds.concurrency then return release_old_slot(b, cost, member) end
      note_held(b, member)
      return release_slot(b, cost, member, '')
    end,

    held_until = function(b)
      local last = tonumber(redis.call('ZRANGE', holders_key(b), -1, -1, 'WITHSCORES')[2] or 0)
      if last >= STARTED then return nil end
      if last > 0 then redis.call('PEXPIREAT', holders_key(b), int(math.ceil((last + KEPT_LONGER_US) / 1000))) end
      return last
    end,

    freeze = function(b) b.notes = PROBE end,

    thaw = function(b)
      if b.notes == PROBE then b.notes = '' end
    end,

    reset = function() end,

    -- The bucket has no time to live while a job holds a slot. Without one, it expires with the last slot that lapses.
    expires_at = function(b)
      local last = redis.call('ZRANGE', holders_key(b), -1, -1, 'WITHSCORES')
      if last[2] then return tonumber(last[2]) < STARTED and tonumber(last[2]) or nil end
      return b.notes == PROBE and math.max(now, frozen_until(b)) + PROBE_US or now
    end,

    felt = function(b) return 2 * mean_held(b) end,
    each = function(b, cost) return mean_held(b) * cost / b.policy.capacity end,

    -- µs until `cost` slots can be expected: each comes back after the mean time held; `take` slots go now, and each of these claims takes
    -- its own at its date.
    expected_wait = function(b, cost, claims, take)
      local mean, wanted, ends = mean_held(b), cost + take, {}
      for _, claim in ipairs(claims) do wanted = wanted + claim.cost end
      if wanted > MOST_EXPECTED then return mean end
      local function add(count, at)
        for _ = 1, math.min(count, wanted) do ends[#ends + 1] = at end
      end
      add(b.policy.capacity - b.used - b.reserved, now)
      add(b.reserved, now + mean)
      local rows = redis.call('ZRANGE', holders_key(b), 0, wanted - 1, 'WITHSCORES')
      for i = 1, #rows, 2 do
        local ends_at = tonumber(rows[i + 1]) - STARTED + mean
        if ends_at < mean then ends_at = now + mean elseif ends_at <= now then ends_at = now + math.floor(mean / 4) + 1 end
        add(cost_of(rows[i]), ends_at)
      end
      local takers = { { cost = take, due = now }, unpack(claims) }
      table.sort(takers, function(one, other) return one.due < other.due end)
      for _, taker in ipairs(takers) do
        table.sort(ends)
        if taker.cost > #ends then return NEVER end
        local at = taker.cost > 0 and math.max(taker.due, ends[taker.cost]) + mean
        for i = 1, taker.cost do ends[i] = at end
      end
      table.sort(ends)
      return cost <= #ends and math.max(ends[cost] - now, 0) or NEVER
    end,

    available = function(b)
      local free = b.policy.capacity - b.used
      if not b.notes or b.notes == '' then return free end
      return b.notes == PROBE and math.min(free, 1) or 0
    end,

    next_token = function(b) return b.used < b.policy.capacity and 0 or -1 end,
  }
end, { gives_back = true })
