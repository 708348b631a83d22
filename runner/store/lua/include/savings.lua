-- savings: what a line of several limits sets aside of a bucket that gives many tokens at once, for its next jobs, until the burst ends.
local savings = lazily(function(savings)
  local function jobs_saved_for(need) return claims.has_saved(need) and math.floor(need.saved / need.cost) or 0 end

  -- For how many jobs it is worth setting tokens aside: no more than the line's other needs can deliver before this burst is lost.
  local function worth_saving(r, need, b, left)
    local most = math.min(math.floor(b.policy.capacity / need.cost), redis.call('ZCARD', line_key(r.line)))
    for _, other in ipairs(r.needs) do
      if other ~= need then
        local x = load_bucket(other.bucket)
        local saved = jobs_saved_for(other)
        local wait = saved > 0 and 0 or claims.instant_of(x, other.cost, {}, 0) - now
        if wait >= left or not x.kind then return 0 end
        most = math.min(most, math.max(saved, 1 + math.floor((left - wait) / x.kind.each(x, other.cost))))
      end
    end
    return most
  end

  -- A turn at a bucket that gives many tokens at once: set those for one more job aside, and stand there again if more are worth it.
  -- Returns false if it did not.
  function savings.save(r, need, b)
    local jobs, plans = jobs_saved_for(need), plans_of(b)
    local until_us = b.kind.burst_ends and b.kind.burst_ends(b, need.cost)
    if until_us and plans.aside > 0 then until_us = plans.until_us end
    local left = until_us and until_us - now or 0
    if left <= 0 then return false end
    local most = worth_saving(r, need, b, left)
    if jobs >= most or wait_of(b, need.cost, true) > 0 then return false end
    if plans.until_us ~= until_us then
      plans.aside, plans.until_us, need.saved = 0, until_us, 0
      wake_at(b.name, until_us)
    end
    need.saved, need.until_us = need.saved + need.cost, until_us
    change_plans(b, 0, need.cost)
    if jobs + 1 < most then places.stand(need, r.line, b) end
    return true
  end

  -- A turn without tokens set aside, at a bucket that gets many at once: the line has another one for its part of the next burst.
  function savings.come_again(r, need, b, is_early)
    local _, refills_at
    if b.kind.burst_ends then _, refills_at = b.kind.burst_ends(b, need.cost) end
    if not refills_at then return end
    if is_early then return places.stand(need, r.line, b) end
    claims.give_up_saved(need)
    need.until_us = math.max(refills_at - claims.NEARLY_US, now + claims.NEARLY_US)
    r.looked_at, r.is_unset = true, false
    wake_at(look_of(r.line), need.until_us)
  end

  -- Without a claim the next look is for the bursts alone.
  function savings.look_ahead(r)
    local at = NEVER
    for _, need in ipairs(r.needs) do
      if need.saved == 0 and need.until_us > now then at = math.min(at, need.until_us) end
    end
    if at < NEVER and not r.looked_at then claims.look_at(r, at) end
  end

  -- Stand again where the next burst is about to come.
  function savings.stand_again(r)
    for _, need in ipairs(r.needs) do
      if need.saved == 0 and need.until_us > 0 and need.until_us <= now then
        need.until_us = 0
        local b = load_bucket(need.bucket)
        if b.kind and not need.stands then
          places.stand(need, r.line, b)
          wake_at(b.name, now + wait_of(b, need.cost, true))
        end
      end
    end
  end

  return savings
end)
