-- quota: a counter for each calendar period. Lua has no calendar: periods:<calendar> holds the instants at which periods begin, which
-- the workers publish far ahead. Without them nothing starts.
-- After a freeze `probe` is 1 until one job has started; `resumes` is when the others may, so that the provider can say wait again.
local PROBE_GAP_US = 1000000

kinds.quota = lazily(function()
  return {
    reason = 'quota',
    fields = { 'used', 'period', 'forgiven', 'probe', 'resumes' },

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
      if b.used + reserved + math.min(cost, p.capacity) > p.capacity then return b.ends - now end
      -- What starts so shortly before the end could be counted by the provider in the next period.
      if b.ends - now <= (p.jitter_us or 0) then return b.ends - now end
      if b.probe == 1 and reserved > 0 then return PROBE_GAP_US end
      return math.max(b.resumes - now, 0)
    end,

    is_spent = function(b, cost) return b.ends and b.used + math.min(cost, b.policy.capacity) > b.policy.capacity end,

    take = function(b, cost)
      b.used = math.min(b.used + cost, MOST_COUNTED)
      if b.probe == 1 then b.probe, b.resumes = 0, now + PROBE_GAP_US end
    end,

    refund = function(b, cost, _, since)
      if since >= b.period then b.used = math.max(b.used - cost, 0) end
      if b.resumes > now then b.probe, b.resumes = 1, 0 end
    end,

    -- Tokens count in the period of their start.
    settle = function(b, cost, actual, _, since)
      if since >= b.period then b.used = math.min(math.max(b.used + actual - cost, 0), MOST_COUNTED) end
    end,

    freeze = function(b) b.probe, b.resumes = 1, 0 end,
    thaw = function(b) b.probe, b.resumes = 0, 0 end,
    reset = function(b) b.used, b.forgiven = 0, now end,
    expires_at = function(b) return (b.ends or now) + 1000000 end,
    felt = function(b, due)
      if not b.ends then return 0 end
      return due - (due >= b.ends and b.ends or b.period)
    end,

    each = function(b, cost) return ((b.ends or now) - b.period) * cost / b.policy.capacity end,
    burst_ends = function(b)
      if not b.ends then return nil end
      return b.ends - ends_early(b.ends - b.period), b.ends
    end,

    level = function(b) return b.used end,
    lower = function(b, tokens) b.used = b.used + tokens end,

    -- Tokens of this period that no start of ours has taken are there again.
    forget_lowered = function(b, tokens)
      b.used = math.max(b.used - tokens, 0)
      return 0
    end,

    available = function(b)
      local free = b.policy.capacity - b.used
      if b.probe == 1 then return math.min(free, 1) end
      return b.resumes > now and 0 or free
    end,
    next_token = function(b) return b.ends and b.used > 0 and b.ends - now or 0 end,
  }
end)
