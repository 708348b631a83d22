-- _token_bucket: interval and smooth token buckets in whole credits. The same arithmetic as BucketState in limits.py.
-- deficit: credits spent and not yet refilled; time: the last whole step applied. Nothing stored is a full bucket.
kinds.token_bucket = {
  refill = function(b)
    local p = b.policy
    if b.unit and b.unit ~= p.credits_a_token then
      -- The policy changed since this was written: the same tokens, in the new credits, rounded against the spender.
      local tokens, rest = math.floor(b.deficit / b.unit), b.deficit % b.unit
      b.deficit = tokens * p.credits_a_token + math.ceil(rest * p.credits_a_token / b.unit)
      tokens, rest = math.floor(b.reserved / b.unit), b.reserved % b.unit
      b.reserved = tokens * p.credits_a_token + math.ceil(rest * p.credits_a_token / b.unit)
    end
    if b.deficit <= 0 then
      b.deficit, b.time = 0, now
      return
    end
    -- Redis's clock went back: lose at most the step under way, never freeze until the old time comes round again.
    if b.time > now and b.time > b.frozen_until then b.time, b.changed = now, true end
    if now <= b.time then return end
    local steps = math.floor((now - b.time) / p.step_us)
    if steps >= math.ceil(b.deficit / p.credits_a_step) then
      b.deficit, b.time = 0, now
    else
      b.deficit = b.deficit - steps * p.credits_a_step
      b.time = b.time + steps * p.step_us
    end
  end,

  wait = function(b, cost, spoken_for)
    local p = b.policy
    local need = math.min(cost, p.capacity) * p.credits_a_token
    local excess = b.deficit - (p.capacity * p.credits_a_token - need)
    if spoken_for then excess = excess + b.reserved end
    local wait = 0
    if excess > 0 then wait = b.time + math.ceil(excess / p.credits_a_step) * p.step_us - now end
    return math.max(b.frozen_until - now, wait, 0)
  end,

  take = function(b, cost) b.deficit = b.deficit + cost * b.policy.credits_a_token end,

  -- For starts at `since` that never happened. A bucket nobody had taken from could have been full, and what refilled meanwhile
  -- lost: whatever a step begun since then can have brought is not given a second time.
  refund = function(b, cost, since)
    local p = b.policy
    local refilled = math.ceil(math.max(now - since, 0) / p.step_us) * p.credits_a_step
    b.deficit = math.max(b.deficit - math.max(cost * p.credits_a_token - refilled, 0), 0)
  end,

  -- µs until `cost` can be taken by somebody before whom `ahead` tokens go to others, each as soon as it lands.
  eta = function(b, cost, ahead)
    local p = b.policy
    local need = (math.min(cost, p.capacity) + ahead) * p.credits_a_token
    local excess = b.deficit + b.reserved - p.capacity * p.credits_a_token + need
    local wait = 0
    if excess > 0 then wait = b.time + math.ceil(excess / p.credits_a_step) * p.step_us - now end
    return math.max(b.frozen_until - now, wait, 0)
  end,

  available = function(b)
    if b.frozen_until > now then return 0 end
    return math.max(math.floor((b.policy.capacity * b.policy.credits_a_token - b.deficit) / b.policy.credits_a_token), 0)
  end,

  next_token = function(b)
    local p = b.policy
    if b.deficit <= 0 then return math.max(b.frozen_until - now, 0) end
    local lacks = b.deficit % p.credits_a_token
    if lacks == 0 then lacks = p.credits_a_token end
    local over = math.max(b.deficit - p.capacity * p.credits_a_token, 0)
    return math.max(b.time + math.ceil((over + lacks) / p.credits_a_step) * p.step_us - now, b.frozen_until - now, 0)
  end,

  full_at = function(b)
    if b.deficit <= 0 then return now end
    return b.time + math.ceil(b.deficit / b.policy.credits_a_step) * b.policy.step_us
  end,
}
