-- sliding_window: each start is kept until its own window has passed, in taken:<bucket> (score: instant, member: cost:holder).
-- `used` is the sum of their costs, `last` the latest instant; they are always changed together.
-- After a freeze, for one window, starts are `period_us` apart: `next_at` is the next one, until `paced_until`.
do
  local MOST_EXPIRED = 5000
  local MOST_WALKED = 500

  local function taken_key(b) return prefix .. 'taken:' .. b.name end
  local function cost_of(member) return tonumber(string.match(member, '^%d+')) end

  local function remember(b, cost, holder, at)
    if cost <= 0 then return end
    if redis.call('ZADD', taken_key(b), 'NX', int(at), int(cost) .. ':' .. holder) == 0 then return end
    b.used, b.last = b.used + cost, math.max(b.last, at)
  end

  -- Redis's clock went back: earlier starts count as made now, or they would be kept until the clock reaches their old instants again.
  local function come_back_to_now(b)
    for _, member in ipairs(redis.call('ZRANGEBYSCORE', taken_key(b), '(' .. int(now), '+inf')) do
      redis.call('ZADD', taken_key(b), 'XX', int(now), member)
    end
    b.last, b.changed = now, true
  end

  local function forget(b, cost, holder)
    local member = int(cost) .. ':' .. holder
    local at = redis.call('ZSCORE', taken_key(b), member)
    if not at then return nil end
    redis.call('ZREM', taken_key(b), member)
    b.used = math.max(b.used - cost, 0)
    return tonumber(at)
  end

  kinds.sliding_window = {
    reason = 'tokens',
    fields = { 'used', 'last', 'next_at', 'paced_until' },
    second_key = taken_key,

    -- A token taken at t is free again from t + window + 1 µs on: no closed window of that length holds both starts.
    refill = function(b)
      if b.last > now then come_back_to_now(b) end
      local expired = redis.call('ZRANGEBYSCORE', taken_key(b), '-inf', '(' .. int(now - b.policy.window_us), 'LIMIT', 0, MOST_EXPIRED)
      if #expired == 0 then return end
      for _, member in ipairs(expired) do b.used = b.used - cost_of(member) end
      redis.call('ZREMRANGEBYRANK', taken_key(b), 0, #expired - 1)
      b.used = math.max(b.used, 0)
      if b.stored then redis.call('HSET', bucket_key(b.name), 'used', int(b.used)) end
      b.was.used = b.used
    end,

    wait = function(b, cost, reserved)
      local p = b.policy
      local need = math.min(cost, p.capacity)
      local excess = b.used + reserved + need - p.capacity
      if excess <= 0 then
        if now >= b.paced_until then return 0 end
        return math.min(math.max(b.next_at - now, 0) + reserved * p.period_us, b.paced_until - now)
      end
      -- Starts beyond one whole window (more, if the capacity was lowered) wait for the same place in a later window.
      local windows = math.max(math.ceil((excess - math.max(b.used, p.capacity)) / p.capacity), 0)
      excess = excess - windows * p.capacity
      local offset, last = 0, now
      while offset < MOST_WALKED do
        local rows = redis.call('ZRANGE', taken_key(b), offset, offset + math.min(excess, 100) - 1, 'WITHSCORES')
        if #rows == 0 then break end
        for i = 1, #rows, 2 do
          excess, last = excess - cost_of(rows[i]), tonumber(rows[i + 1])
          if excess <= 0 then return math.max(last + windows * p.window_us + p.window_us + 1 - now, 1) end
        end
        offset = offset + #rows / 2
      end
      return math.max(last + (windows + 1) * p.window_us + 1 - now, 1)
    end,

    take = function(b, cost, holder)
      remember(b, cost, holder, now)
      if now < b.paced_until then b.next_at = math.max(b.next_at, now) + cost * b.policy.period_us end
    end,
    refund = function(b, cost, holder) forget(b, cost, holder) end,

    settle = function(b, cost, actual, holder)
      local at = forget(b, cost, holder)
      if at then remember(b, actual, holder, at) end
    end,

    freeze = function(b, until_us) b.paced_until = math.max(b.paced_until, until_us + b.policy.window_us) end,

    expires_at = function(b) return math.max(now + b.policy.window_us, b.paced_until) end,

    available = function(b) return b.policy.capacity - b.used end,

    next_token = function(b)
      local first = redis.call('ZRANGE', taken_key(b), 0, 0, 'WITHSCORES')
      return first[2] and math.max(tonumber(first[2]) + b.policy.window_us + 1 - now, 0) or 0
    end,
  }
end
