-- adapting: the rate in force of a limit whose provider said wait, as an override by "adapting": additive increase, multiplicative decrease, as
-- TCP does it. The numbers are shares of what is declared, in millionths (limits/adapting.py).
-- The hash `adapting` has a field for each limit that is looked at: when a freeze began that is not answered yet, '0' if none is; `finish` sets
-- it, `adapt` answers. The override holds `adapting`: the share in force, the one before it was last lowered (the peak), and when it began.
-- include: catalog
local ADAPTING = prefix .. 'adapting'
local WHOLE = 1000000

-- The declared pace at a share. Whole tokens where that is exact to a hundredth, else a longer time, rounded up to four digits for people.
local function pace_at(code, share)
  local refill, every = math.floor(code.refill * share / WHOLE), code.every_us
  if refill < 100 then
    refill, every = code.refill, math.ceil(code.every_us * WHOLE / share)
    local unit = 10 ^ math.max(math.floor(math.log10(every)) - 3, 0)
    every = math.ceil(every / unit) * unit
  end
  return math.max(math.floor(code.capacity * share / WHOLE), 1), refill, every
end

local function common_divisor(a, b)
  while b > 0 do a, b = b, a % b end
  return a
end

-- The policy at a share, as limits/token_bucket.py would publish it.
local function policy_at(code, share)
  local capacity, refill, every = pace_at(code, share)
  local divisor = code.smooth and common_divisor(refill, every) or 1
  local policy = {}
  for _, field in ipairs({ 'kind', 'name', 'key', 'smooth', 'debt', 'adapt_least', 'adapt_most' }) do policy[field] = code[field] end
  policy.capacity, policy.refill, policy.every_us, policy.rate = capacity, refill, every, int(refill) .. '/' .. int(every) .. 'us'
  policy.period_us = math.ceil(every / refill)
  if code.smooth then
    policy.step_us, policy.credits_a_step, policy.credits_a_token = 1, refill / divisor, every / divisor
  else
    policy.step_us, policy.credits_a_step, policy.credits_a_token = every, refill, 1
  end
  return policy
end
