-- quota: a counter for each calendar period. Lua has no calendar: periods:<calendar> holds the instants at which periods begin, which
-- the workers publish far ahead. Without them nothing starts.
-- `lowered` of what is used are no starts of ours: so many tokens less are left, as a provider says, until its counter is set back (`back`),
-- and until the end of the period at the latest.
-- After a freeze `probe` is 1 until one job has started; `resumes` is when the others may, so that the provider can say wait again.
-- A quota with a `unit` is a budget: what is spent of it is noted by day, task and key, in spent:<limit>:<days since 1970>. With `warn_at` somebody
-- is to be told once a period that so much of it is spent: `notes` has the period and how many tokens were told of last.
local PROBE_GAP_US = 1000000

kinds.quota = lazily(function()
  -- Tokens of this period that no start of ours has taken are there again.
  local function forget_lowered(b) b.used, b.lowered = math.max(b.used - b.lowered, 0), 0 end

  local DAY_US, SPENT_MS, MOST_SPENDERS = 86400000000, 5443200000, 1000 -- kept for 63 days; tasks and keys that have a count of their own in a day
  local WARNINGS, MOST_WARNINGS, WARNINGS_MS, has_warned = prefix .. 'warnings', 10000, 604800000, false

  -- It is for people: a key that was damaged by hand refuses no job.
  local function note_spent(b, tokens, holder, since)
    if counting ~= '1' or not b.policy.unit or tokens == 0 then return end
    local limit, key = string.match(b.name, '^([^/]*)/?(.*)$')
    local day = prefix .. 'spent:' .. limit .. ':' .. string.format('%d', since / DAY_US)
    local id = string.match(holder, '^(.*)#%d+$')
    local task = id and read_job(id, 'task')
    local sum = redis.pcall('HINCRBY', day, 't:' .. (task or ''), int(tokens))
    if key ~= '' and redis.pcall('HINCRBY', day, 'k:' .. key, int(tokens)) == tokens and redis.pcall('HLEN', day) > MOST_SPENDERS then
      redis.pcall('HDEL', day, 'k:' .. key) -- it was not there before
      redis.pcall('HINCRBY', day, 'o', int(tokens))
    end
    if sum == tokens and redis.pcall('HLEN', day) <= 2 then redis.pcall('PEXPIRE', day, SPENT_MS) end -- the first of its day
  end

  -- Somebody is to be told of each share that is reached. With other numbers in force only of one that is more than was told of.
  local function warn(b)
    if not b.policy.warn_at then return end
    local period, told = string.match(b.notes or '', '^(%d+) (%d+)$')
    told = period == int(b.period) and tonumber(told) or 0
    local words = {}
    for _, share in ipairs(b.policy.warn_at) do
      local tokens = math.max(math.ceil(b.policy.capacity * share), 1)
      if b.used >= tokens and tokens > told then
        local numbers = { b.used, b.policy.capacity, b.period, b.ends or 0, now, b.policy.scale or 0 }
        for i, number in ipairs(numbers) do numbers[i] = int(number) end
        local text = b.name .. ' ' .. string.format('%.6g', share) .. ' ' .. table.concat(numbers, ' ') .. ' ' .. (b.policy.unit or '')
        words[#words + 1], words[#words + 2] = now_text, text
        b.notes, told = int(b.period) .. ' ' .. int(tokens), tokens
      end
    end
    if not words[1] then return end
    redis.pcall('ZADD', WARNINGS, unpack(words))
    if has_warned then return end -- once in a call
    has_warned = true
    redis.pcall('ZREMRANGEBYRANK', WARNINGS, 0, -MOST_WARNINGS - 1)
    redis.pcall('PEXPIRE', WARNINGS, WARNINGS_MS)
  end

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

    take = function(b, cost, holder)
      b.used = math.min(b.used + cost, MOST_COUNTED)
      note_spent(b, cost, holder, now)
      warn(b)
      if b.probe == 1 then b.probe, b.resumes = 0, now + PROBE_GAP_US end
    end,

    refund = function(b, cost, _, since)
      if since >= b.period then b.used = math.max(b.used - cost, 0) end
      if b.resumes > now then b.probe, b.resumes = 1, 0 end
    end,

    -- Tokens count in the period of their start.
    settle = function(b, cost, actual, _, since)
      if since >= b.period then b.used = math.min(math.max(b.used + actual - cost, 0), MOST_COUNTED) end
      warn(b)
    end,

    note_spent = note_spent,

    freeze = function(b) b.probe, b.resumes = 1, 0 end,
    thaw = function(b) b.probe, b.resumes = 0, 0 end,
    reset = function(b) b.used, b.lowered, b.forgiven, b.notes = 0, 0, now, b.notes and '' end,
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
      warn(b)
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
