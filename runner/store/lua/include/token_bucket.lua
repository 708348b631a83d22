-- token_bucket: interval and smooth token buckets in whole credits. The same arithmetic as BucketState in limits/token_bucket.py.
-- deficit: credits spent and not yet refilled; time: the last whole step applied. Nothing stored is a full bucket.
-- thaws: the end of a current freeze (0: none); at that instant one token is there, however much has refilled until then.
kinds.token_bucket = lazily(function()
  local function steps_until(b, excess)
    if excess <= 0 then return 0 end
    return math.min(b.time + math.ceil(excess / b.policy.credits_a_step) * b.policy.step_us - now, LONGEST_US)
  end

  local function full_at(b, p) return b.time + math.ceil(b.deficit / p.credits_a_step) * p.step_us end

  local function refill_until(b, p, instant)
    if b.deficit <= 0 then
      b.deficit, b.time = 0, instant
      return
    end
    if instant <= b.time then return end
    local steps = math.floor((instant - b.time) / p.step_us)
    if steps >= math.ceil(b.deficit / p.credits_a_step) then
      b.deficit, b.time = 0, instant
    else
      b.deficit = b.deficit - steps * p.credits_a_step
      b.time = b.time + steps * p.step_us
    end
  end

  local function thaw(b)
    refill_until(b, b.policy, b.thaws)
    b.deficit = math.max(b.deficit, (b.policy.capacity - 1) * b.policy.credits_a_token)
    b.time, b.thaws = math.max(b.time, b.thaws), 0
  end

  -- The bucket as it will be at the end of its freeze: waits are computed from there.
  local function thawed(b)
    if b.thaws <= now then return b end
    local later = { deficit = b.deficit, time = b.time, thaws = b.thaws, policy = b.policy }
    thaw(later)
    return later
  end

  -- A refund needs the smallest deficit since the take. It is kept in `notes` from the first refund on, for three lengths of time,
  -- each as the current span and the one before: low, since, old_low, old_since. A span begins after the tokens that are taken at its
  -- first instant.
  local SPANS_US = { 1000000, 8000000, 64000000 }
  local FIELDS_A_SPAN = 4
  local NOTHING_SEEN = 9007199254740991

  local function read_notes(b)
    local notes = {}
    for number in string.gmatch(b.notes, '%d+') do notes[#notes + 1] = tonumber(number) end
    return notes
  end

  local function write_notes(b, notes)
    for i = 1, #notes do notes[i] = int(notes[i]) end
    b.notes = table.concat(notes, ' ')
  end

  local function begin_notes(b)
    local notes = {}
    for _ = 1, #SPANS_US do
      for _, number in ipairs({ NOTHING_SEEN, now, NOTHING_SEEN, now }) do notes[#notes + 1] = number end
    end
    write_notes(b, notes)
  end

  local function note_low(b)
    if not b.notes then return end
    local notes = read_notes(b)
    for span = 1, #SPANS_US do
      local at = (span - 1) * FIELDS_A_SPAN
      notes[at + 1] = math.min(notes[at + 1], b.deficit)
      if now - notes[at + 2] > SPANS_US[span] then
        notes[at + 3], notes[at + 4], notes[at + 1], notes[at + 2] = notes[at + 1], notes[at + 2], NOTHING_SEEN, now
      end
    end
    write_notes(b, notes)
  end

  -- The smallest deficit since `since`, from the shortest span that reaches back so far; nil if none does.
  local function low_since(b, since)
    if not b.notes then return nil end
    local notes = read_notes(b)
    for at = 0, (#SPANS_US - 1) * FIELDS_A_SPAN, FIELDS_A_SPAN do
      if since >= notes[at + 2] then return math.min(notes[at + 1], b.deficit) end
      if since >= notes[at + 4] then return math.min(notes[at + 1], notes[at + 3], b.deficit) end
    end
  end

  -- Credits taken at `since` were not used. Without that take the bucket could have been full since then, and would have lost what it
  -- refilled: so no more goes back than the smallest deficit since (the reflection of a path at zero), and nothing of a step that may
  -- have begun while the bucket would have been full.
  local function give_credits_back(b, credits, since)
    local p = b.policy
    -- Credits that can have refilled since are not given twice: a bound for any bucket, and exact for a start just made.
    local amount = credits - math.ceil(math.max(now - since, 0) / p.step_us) * p.credits_a_step
    local low = low_since(b, since)
    if low then amount = math.max(amount, low < credits and low - p.credits_a_step or credits) end
    amount = math.max(math.min(amount, b.deficit), 0)
    b.deficit = b.deficit - amount
    if not b.notes then return begin_notes(b) end
    local notes = read_notes(b)
    for at = 1, #notes, 2 do
      if notes[at] < NOTHING_SEEN then notes[at] = math.max(notes[at] - amount, 0) end
    end
    write_notes(b, notes)
  end

  -- What was used beyond the estimate makes a debt of one capacity at most, so that a wrong number does not close the bucket for years;
  -- with debt "kept" all of it is charged. Returns the tokens that are not.
  local function charge(b, tokens)
    local p = b.policy
    local most = p.debt == 'kept' and MOST_COUNTED or 2 * p.capacity * p.credits_a_token
    local charged = b.deficit + tokens * p.credits_a_token
    local deficit = math.max(b.deficit, math.min(charged, most))
    b.deficit = deficit
    return math.ceil((charged - deficit) / p.credits_a_token)
  end

  return {
    reason = 'tokens',
    fields = { 'deficit', 'time', 'unit', 'thaws', 'forgiven' },

    refill = function(b)
      b.unit = b.policy.credits_a_token
      -- Redis's clock went back: lose at most the current step, and never wait until the clock reaches the old instant again.
      if b.deficit > 0 and b.time > now then b.time, b.changed = now, true end
      if b.thaws > now and b.thaws > frozen_until(b) then b.thaws = now end -- the freeze was ended by hand
      if b.thaws > 0 and b.thaws <= now then
        thaw(b)
        b.taken = true
      end
      refill_until(b, b.policy, now)
      note_low(b)
    end,

    wait = function(b, cost, reserved)
      local p = b.policy
      local need = math.min(cost, p.capacity)
      local later = thawed(b)
      return math.max(steps_until(later, later.deficit - (p.capacity - need - reserved) * p.credits_a_token), 0)
    end,

    -- All that a job costs, even if that is more than the capacity by now: what starts is never less than what is counted.
    take = function(b, cost) b.deficit = math.min(b.deficit + cost * b.policy.credits_a_token, MOST_COUNTED) end,

    -- Refunds of starts at the same instant are counted together, as their tokens were taken together.
    refund = function(b, cost, _, since)
      b.unused = b.unused or {}
      b.unused[since] = (b.unused[since] or 0) + cost
    end,

    refund_counted = function(b)
      for since, cost in pairs(b.unused or {}) do give_credits_back(b, cost * b.policy.credits_a_token, since) end
      b.unused = nil
    end,

    settle = function(b, cost, actual, _, since)
      if actual >= cost then return charge(b, actual - cost) end
      give_credits_back(b, (cost - actual) * b.policy.credits_a_token, since)
    end,

    freeze = function(b, until_us) b.thaws = math.max(b.thaws, until_us) end,

    thaw = function(b)
      if b.thaws > now then b.thaws = now end
    end,

    reset = function(b)
      b.deficit, b.time, b.forgiven = 0, now, now
    end,

    -- Refill at the old rate until that policy ended, then express the deficit in the new credits, rounded up.
    convert = function(b, old, ended)
      if old then refill_until(b, old, math.min(ended, now)) end
      if b.unit > 0 and b.unit ~= b.policy.credits_a_token then
        local tokens, rest = math.floor(b.deficit / b.unit), b.deficit % b.unit
        b.deficit = math.min(tokens * b.policy.credits_a_token + math.ceil(rest * b.policy.credits_a_token / b.unit), MOST_COUNTED)
      end
      b.time = math.max(b.time, math.min(ended or now, now))
      if b.notes then begin_notes(b) end
    end,

    expires_at = function(b)
      local later = thawed(b)
      if later.deficit <= 0 then return now end
      local full = full_at(later, b.policy)
      -- After an override that ends by itself the code's rate refills the bucket.
      local until_us, code = tonumber(b.policy.until_us), b.policy.entry.code
      if until_us and full > until_us and code.kind == b.policy.kind then
        local tokens = math.ceil(later.deficit / b.policy.credits_a_token)
        full = math.max(full, until_us + full_at({ time = 0, deficit = tokens * code.credits_a_token }, code))
      end
      return full
    end,

    full_in = function(b)
      if b.deficit <= 0 then return 0 end
      return math.max(steps_until(b, b.deficit), b.frozen_until - now)
    end,

    -- A start is felt until its tokens are back: with an interval that fills the bucket, since the last refill before the date.
    felt = function(b, due)
      local p = b.policy
      local steps = math.ceil(p.capacity * p.credits_a_token / p.credits_a_step)
      if steps == 1 and due > b.time then return (due - b.time) % p.step_us end
      return steps * p.step_us + math.max(p.step_us, p.period_us)
    end,

    each = function(b, cost) return b.policy.period_us * cost end,

    -- An interval bucket that gets several tokens at once loses what is left of them at the next interval.
    burst_ends = function(b)
      local p = b.policy
      if p.credits_a_step < 2 * p.credits_a_token then return nil end
      local refills_at = (b.deficit > 0 and b.time or now) + p.step_us
      return refills_at - ends_early(p.step_us), refills_at
    end,

    level = function(b) return b.deficit / b.policy.credits_a_token end,
    lower = function(b, tokens) b.deficit = b.deficit + tokens * b.policy.credits_a_token end,

    -- Where tokens come together, they come with the provider's: later than ours would, and by less than an interval. What is further away is
    -- no interval of this length.
    defer = function(b, instant)
      local began = instant - b.policy.step_us
      if b.policy.smooth or b.deficit <= 0 or began > now or began <= b.time then return end
      b.time, b.taken = began, true
    end,

    available = function(b) return math.floor((b.policy.capacity * b.policy.credits_a_token - b.deficit) / b.policy.credits_a_token) end,

    next_token = function(b)
      local p = b.policy
      if b.deficit <= 0 then return 0 end
      local lacks = b.deficit % p.credits_a_token
      if lacks == 0 then lacks = p.credits_a_token end
      local debt = math.max(b.deficit - p.capacity * p.credits_a_token, 0)
      return math.max(steps_until(b, math.floor(debt / p.credits_a_token) * p.credits_a_token + lacks), 0)
    end,
  }
end)
