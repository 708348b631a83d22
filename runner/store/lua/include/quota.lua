-- quota: a counter for each calendar period. Lua has no calendar: periods:<calendar> holds the instants at which periods begin, which
-- the workers publish far ahead. Without them nothing starts.
kinds.quota = {
  reason = 'quota',
  fields = { 'used', 'period' },

  refill = function(b)
    local key = prefix .. 'periods:' .. b.policy.calendar
    local current = redis.call('ZREVRANGEBYSCORE', key, int(now), '-inf', 'LIMIT', 0, 1)[1]
    local following = redis.call('ZRANGEBYSCORE', key, '(' .. int(now), '+inf', 'LIMIT', 0, 1)[1]
    b.ends = tonumber(following)
    if not current or not following then return end
    -- Only forward: if Redis's clock has gone back, the count of the earlier period would be forgotten twice.
    if tonumber(current) > b.period then b.used, b.period = 0, tonumber(current) end
  end,

  wait = function(b, cost, reserved)
    if not b.ends then return UNKNOWN_US end
    local p = b.policy
    if b.used + reserved + math.min(cost, p.capacity) <= p.capacity then return 0 end
    return b.ends - now
  end,

  take = function(b, cost) b.used = b.used + cost end,
  refund = function(b, cost, _, since)
    if since >= b.period then b.used = math.max(b.used - cost, 0) end
  end,
  -- Tokens count in the period of their start.
  settle = function(b, cost, actual, _, since)
    if since >= b.period then b.used = math.max(b.used + actual - cost, 0) end
  end,
  freeze = function() end,
  expires_at = function(b) return (b.ends or now) + 1000000 end,
  available = function(b) return b.policy.capacity - b.used end,
  next_token = function(b) return b.ends and b.used > 0 and b.ends - now or 0 end,
}
