-- sliding_window: each start is kept until its own window has passed, in taken:<bucket> (score: instant, member: cost:holder).
-- `used` is the sum of their costs, `last` the latest instant; they are always changed together.
-- `lowered` of `used` are no starts of ours: so many tokens less are left, as a provider says, as if somebody had started at `lowered_at`.
-- After a freeze, for one window, starts are `period_us` apart: `next_at` is the next one, until `paced_until`.
kinds.sliding_window = lazily(function()
  local MOST_WALKED = 500
  local OTHERS = '=others' -- who holds what is lowered
  local MOST_A_START = 4294967296 -- tokens: the sum of a million such starts is still exact
  local MOST_LESSENED = 100 -- entries that are looked through for tokens that come back
  -- Starts that this call forgets, or sets back to now, in all its buckets; the rest is left for the next.
  local left_to_forget, left_to_set_back = 12 * MOST_ENTRIES, 4 * MOST_ENTRIES

  local function taken_key(b) return prefix .. 'taken:' .. b.name end

  local function remember(b, cost, holder, at)
    if cost <= 0 then return end
    if redis.call('ZADD', taken_key(b), 'NX', int(at), member_of(cost, holder)) == 0 then return end
    if b.used == 0 then b.renewed = true end
    b.used, b.last = b.used + cost, math.max(b.last, at)
  end

  -- Redis's clock went back: earlier starts count as made now, or they would be kept until the clock reaches their old instants again.
  local function come_back_to_now(b)
    local ahead = redis.call('ZRANGEBYSCORE', taken_key(b), '(' .. int(now), '+inf', 'LIMIT', 0, left_to_set_back)
    for i = 1, #ahead do redis.call('ZADD', taken_key(b), 'XX', int(now), ahead[i]) end
    if #ahead < left_to_set_back then b.last, b.changed = now, true end
    left_to_set_back = left_to_set_back - #ahead
  end

  local function forget(b, cost, holder)
    local member = member_of(cost, holder)
    local at = redis.call('ZSCORE', taken_key(b), member)
    if not at then return nil end
    redis.call('ZREM', taken_key(b), member)
    b.used = math.max(b.used - cost, 0)
    return tonumber(at)
  end

  local function pace(b, cost)
    if now < b.paced_until then b.next_at = math.max(b.next_at, now) + cost * b.policy.period_us end
  end

  local function holder_in(member) return string.match(member, '^%d+:(.*)$') end

  -- Take back up to so many tokens of an entry; returns those that it did not have.
  local function lessen(b, tokens, member, at)
    local cost, holder = cost_of(member), holder_in(member)
    if holder == OTHERS then return tokens end
    local less = math.min(tokens, cost)
    redis.call('ZREM', taken_key(b), member)
    if cost > less then redis.call('ZADD', taken_key(b), at, member_of(cost - less, holder)) end
    b.used = math.max(b.used - less, 0)
    return tokens - less
  end

  local function is_of(member, partition)
    local own = holder_in(member)
    return string.sub(own, 1, #partition + 1) == partition .. '#'
  end

  return {
    reason = 'tokens',
    fields = { 'used', 'last', 'next_at', 'paced_until', 'lowered', 'lowered_at' },
    second_key = taken_key,

    -- A token taken at t is free again from t + window + 1 µs on: no closed window of that length holds both starts.
    refill = function(b)
      if b.last > now then come_back_to_now(b) end
      if b.lowered > 0 and now > b.lowered_at + b.policy.window_us then b.lowered = 0 end
      local expired = redis.call('ZRANGEBYSCORE', taken_key(b), '-inf', '(' .. int(now - b.policy.window_us), 'LIMIT', 0, left_to_forget)
      if #expired == 0 then return end
      left_to_forget = left_to_forget - #expired
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
      if excess > 0 and b.last > now then return 1 end -- starts are still to be set back
      if excess <= 0 then
        if now >= b.paced_until then return 0 end
        return math.min(math.max(b.next_at - now, 0) + reserved * p.period_us, b.paced_until - now)
      end
      -- Starts beyond one whole window (more, if the capacity was lowered) wait for the same place in a later window.
      local windows = math.max(math.ceil((excess - math.max(b.used, p.capacity)) / p.capacity), 0)
      if windows * p.window_us > LONGEST_US then return LONGEST_US end
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
      pace(b, cost)
    end,

    -- Each report is one entry: the number of all tokens of the partition is its name.
    take_earlier = function(b, cost, partition, number, at)
      remember(b, cost, partition .. '#' .. number, at)
      pace(b, cost)
    end,

    -- From the entry that has the first of these starts, and else from older ones. The place of an older entry comes free earlier than it could,
    -- and from then on that of the start is counted in its stead: never too few.
    return_earlier = function(b, tokens, partition, since)
      local latest = since
      local rows = redis.call('ZRANGEBYSCORE', taken_key(b), int(since), '+inf', 'WITHSCORES', 'LIMIT', 0, MOST_LESSENED)
      for at = 1, #rows, 2 do
        if is_of(rows[at], partition) then
          tokens, latest = lessen(b, tokens, rows[at], rows[at + 1]), tonumber(rows[at + 1])
          break
        end
      end
      rows = tokens > 0 and redis.call('ZRANGEBYSCORE', taken_key(b), '-inf', int(latest), 'WITHSCORES', 'LIMIT', 0, MOST_LESSENED) or {}
      for at = 1, #rows, 2 do
        if tokens <= 0 then break end
        tokens = lessen(b, tokens, rows[at], rows[at + 1])
      end
    end,

    refund = function(b, cost, holder)
      if forget(b, cost, holder) and now < b.paced_until then b.next_at = b.next_at - cost * b.policy.period_us end
    end,

    settle = function(b, cost, actual, holder, since)
      local at = forget(b, cost, holder)
      if not at and cost == 0 and actual > 0 and since >= now - b.policy.window_us then at = since end
      if not at then return end
      local counted = math.min(actual, MOST_A_START)
      remember(b, counted, holder, at)
      return actual - counted
    end,

    freeze = function(b, until_us) b.paced_until = math.max(b.paced_until, until_us + b.policy.window_us) end,
    thaw = function(b) b.paced_until = math.min(b.paced_until, now + b.policy.window_us) end,

    reset = function(b)
      redis.call('UNLINK', taken_key(b)) -- freed beside the scripts: it can hold as many starts as the limit has
      b.used, b.lowered = 0, 0
      if b.stored then redis.call('HSET', bucket_key(b.name), 'used', 0) end
      b.was.used = 0
    end,

    -- An override ends by itself, and then the code's window counts.
    expires_at = function(b)
      local window = math.max(b.policy.window_us, b.policy.until_us and b.policy.entry.code.window_us or 0)
      return math.max(now + window, b.paced_until)
    end,

    felt = function(b) return b.policy.window_us end,
    each = function(b, cost) return b.policy.window_us * cost / b.policy.capacity end,

    -- Nothing is lost at a fixed instant here; a quarter of a window is long enough for the other tokens, and no token lies idle for long.
    burst_ends = function(b, cost)
      if b.policy.capacity - b.used - b.reserved - plans_of(b).aside < 2 * cost then return nil end
      local quarter = math.ceil(b.policy.window_us / 4)
      return (math.floor(now / quarter) + 1) * quarter
    end,

    level = function(b) return b.used end,

    -- As a start that leaves the window when the provider's counter is set back, one window from now at the latest.
    lower = function(b, tokens, until_us)
      local at = math.min(math.max((until_us or LAST_US) - b.policy.window_us, now - b.policy.window_us), now)
      b.lowered, b.lowered_at = math.min(tokens, MOST_A_START), at
      forget(b, b.lowered, OTHERS) -- of which nobody knows any more
      remember(b, b.lowered, OTHERS, at)
    end,

    forget_lowered = function(b)
      forget(b, b.lowered, OTHERS)
      b.lowered = 0
    end,

    -- While starts are paced, one.
    available = function(b)
      local free = b.policy.capacity - b.used
      return now < b.paced_until and math.min(free, b.next_at <= now and 1 or 0) or free
    end,

    next_token = function(b)
      local first = redis.call('ZRANGE', taken_key(b), 0, 0, 'WITHSCORES')
      return first[2] and math.max(tonumber(first[2]) + b.policy.window_us + 1 - now, 0) or 0
    end,
  }
end)
