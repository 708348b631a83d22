-- quota: a counter for each calendar period. Lua has no calendar: periods:<calendar> holds the instants at which periods begin, which
-- the workers publish far ahead. Without them nothing starts.
-- `lowered` of what is used are no starts of ours: so many tokens less are left, as a provider says, until its counter is set back (`back`),
-- and until the end of the period at the latest.
-- After a freeze `probe` is 1 until one job has started; `resumes` is when the others may, so that the provider can say wait again.
local PROBE_GAP_US = 1000000

kinds.quota = lazily(function()
  -- Tokens of this period that no start of ours has taken are there again.
  local function forget_lowered(b) b.used, b.lowered = math.max(b.used - b.lowered, 0), 0 end

  return {
    reason = 'quota',
    fields = { 'used', 'period', 'forgiven', 'probe', 'resumes', 'lowered', 'back' },

    refill = function(b)
      local key = prefix .. 'periods:' .. b.policy.calendar
      local current = redis.call('ZREVRANGEBYSCORE', key, int(now), '-inf', 'LIMIT', 0, 1)[1]
      local following = redis.call('ZRANGEBYSCORE', key, '(' .. int(now), '+inf', 'LIMIT', 0, 1)[1]
      b.ends = tonumber(following)
      if not current or not following then return end
      -- Only forward: if Redis's clock has gone back, the count of the earlier period would be forgotten twice.
      if tonumber(current) > b.period then b.used, b.lowered, b.period = 0, 0, tonumber(current) end
      if b.lowered > 0 and now >= b.back then forget_lowered(b) end
    end,

    wait = function(b, cost, reserved)
      if not b.ends then return UNKNOWN_US end
      local p = b.policy
      local over = b.used + reserved + math.min(cost, p.capacity) - p.capacity
      if over > 0 then return (over <= b.lowered and b.back or b.ends) - now end
      -- What starts so shortly before the end could be counted by the provider in the next period.
      if b.ends - now <= (p.jitter_us or 0) then return b.ends - now end
      if b.probe == 1 and reserved > 0 then return PROBE_GAP_US end
      return math.max(b.resumes - now, 0)
    end,

    is_spent = function(b, cost)
      local coming = b.ends and b.back < b.ends and b.lowered or 0
      return b.ends and b.used - coming + math.min(cost, b.policy.capacity) > b.policy.capacity
    end,

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
    reset = function(b) b.used, b.lowered, b.forgiven = 0, 0, now end,
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

    lower = function(b, tokens, until_us)
      b.used, b.lowered = b.used + tokens, tokens
      b.back = math.min(until_us or LAST_US, b.ends or now)
    end,

    forget_lowered = forget_lowered,

    available = function(b)
      local free = b.policy.capacity - b.used
      if b.probe == 1 then return math.min(free, 1) end
      return b.resumes > now and 0 or free
    end,
    next_token = function(b)
      if not b.ends or b.used <= 0 then return 0 end
      return (b.lowered > 0 and b.back or b.ends) - now
    end,
  }
end)
