-- turns: lines of several limits, from their turns to the start of their jobs. A turn takes nothing: it is noted, or tokens are set aside. Once
-- the line has had its turn everywhere its job starts, with all its tokens at once, or the line makes a claim.

local turns = lazily(function(turns)
  -- What the head that was read last needs, as `limits_of` tells it.
  local function limits_of_head(open, id)
    if open.id ~= id then open.id, open.limits = id, limits_of(id) end
    return open.limits
  end

  -- The costs of the line's first job, which its place and its claim are about.
  local function note_costs(r, needs)
    for i, need in ipairs(r.needs) do need.cost = needs[i] and needs[i].cost or need.cost end
  end

  -- Release the first job of a line, whose tokens are there: all of them at once.
  local function start_first(r, id, needs)
    if r.number > 0 then claims.close(r) end
    for _, need in ipairs(r.needs) do
      if claims.has_saved(need) then
        change_plans(load_bucket(need.bucket), 0, -need.cost)
        need.saved = need.saved - need.cost
      end
      need.had = false
    end
    dispatch(id, order.class_of(r.line) - 1, needs, r.line)
  end

  -- What keeps the first job of a line from starting: 'places' (it has to have its turn somewhere), 'room' (among the released jobs),
  -- 'tokens', or 'spent' and the quota whose jobs fail when it is spent; nil if it can start.
  local function what_is_missing(r, needs)
    note_costs(r, needs)
    local spent = exhausted(needs)
    if spent then return 'spent', spent end
    if r.number == 0 then
      places.take(r)
      if not places.are_done(r) then return 'places' end
    end
    local ready, full = claims.is_ready(r, true)
    return not ready and (full and 'room' or 'tokens') or nil
  end

  -- What a job of this line needs; nil if that are other buckets than its line's: its record is damaged.
  local function fitting_needs(r, limits)
    local needs = needs_of(limits)
    if #needs ~= #r.needs then return nil end
    for i = 1, #needs do
      if not r[needs[i].bucket] then return nil end
    end
    return needs
  end

  -- How many jobs that need the same as the first one can follow it at once: nobody else waits where the line takes its tokens, nothing is
  -- claimed or set aside there, and the tokens are there.
  local MOST_AT_ONCE = 50
  local function free_for(r)
    local most = MOST_AT_ONCE
    for _, need in ipairs(r.needs) do
      local b = load_bucket(need.bucket)
      if not need.is_alone or need.stands or need.saved > 0 then return 0 end
      if b.claims and (plans_of(b).claims > 0 or plans_of(b).aside > 0) then return 0 end
      most = math.min(most, math.floor((b.kind.available(b) - b.reserved) / need.cost), window_limit - b.released)
      if most < 1 or wait_of(b, most * need.cost, true) > 0 then return 0 end
    end
    return most
  end

  -- Let the jobs of a line start that can, up to `budget`; then see to it that the next one is waited for. Returns how many were released.
  function turns.advance(r, open, budget)
    local released, left = 0, budget
    local free, like = 0, nil -- so many jobs can go if they need the same as the one before
    while true do
      local id = next_to_go(open, released > 0 and math.min(MOST_AT_ONCE, budget) or 1)
      if not id then
        close_line(open)
        places.give_up(r)
        return released
      end
      local limits = limits_of_head(open, id)
      local follows = free > 0 and limits and needs_of(limits) == like
      local needs = follows and like or limits and fitting_needs(r, limits)
      if needs and is_pooled() and must_step_aside(r.line) then
        close_line(open)
        places.leave(r)
        pool_lines.give_up(r)
        return released
      end
      local missing, spent
      if needs and not follows then missing, spent = what_is_missing(r, needs) end
      if missing == 'room' then places.wait_for_room(r) end
      if missing == 'tokens' and r.number == 0 then claims.make(r) end
      if missing and not spent then break end
      if left <= 0 or released > 0 and is_over() then
        claims.look_at(r, now)
        break
      end
      if spent then
        fail_exhausted(id, spent)
      elseif follows then
        dispatch(id, order.class_of(r.line) - 1, needs, r.line)
        released, free = released + 1, free - 1
      elseif needs then
        start_first(r, id, needs)
        released, free, like = released + 1, free_for(r), needs
      elseif not is_ticket(id) and is_still_queued(id) then
        add_to_stream(order.class_of(r.line) - 1, id, r.line) -- its record is damaged: the claim that reads it ends it
      end
      take_out(open)
      left = left - 1
    end
    close_line(open)
    places.leave(r)
    return released
  end

  -- Whether it is worth to read the first job of a line that has a claim: what it costs is known.
  function turns.can_start(r)
    local ready, full = claims.is_ready(r)
    return r.number == 0 or ready or full or exhausted(r.needs)
  end

  -- The look at a claim, at an instant that it set: it starts, enters the books that it has come near to, or gets a later date.
  function turns.visit(line, budget)
    local r = records.of(line)
    redis.call('ZREM', WAKES, look_of(line))
    r.is_unset = true -- the look, until it is set anew
    local has_passed = r.number > 0 and r.due <= now
    savings.stand_again(r)
    r.looked_at = false
    local open = open_line(line)
    local goes_on = not parks or next_to_go(open, 1)
    close_line(open)
    local released = (not goes_on or turns.can_start(r)) and turns.advance(r, open, budget) or 0
    if r.number == 0 then savings.look_ahead(r) end
    if released > 0 or r.number == 0 or r.looked_at then return released end
    if has_passed then r.missed = (r.missed + 1) % (claims.MOST_MISSED + 1) end
    if has_passed and r.missed <= claims.PATIENCE then claims.set_date(r) else claims.enter(r) end
    return released
  end

  -- The first line at a bucket may claim before its token is there if it has had its turn everywhere else and few claims are in the book.
  local function may_claim_early(r, need, b)
    return b.kind and #claims.book_of(b) < claims.EARLY and places.are_done(r, need)
  end

  -- The turn of a line of several limits at one of its buckets. Returns how many jobs were released, and the µs until the bucket serves
  -- again (nil: the next turn can follow).
  function turns.have_turn(line, score, alone, b, budget)
    local r, open = records.of(line), open_line(line)
    if is_pooled() and must_step_aside(line) then
      pool_lines.give_up(r)
      return 0, nil, alone
    end
    local need = r[b.name]
    local id = next_to_go(open, 1)
    close_line(open)
    if not id then return turns.advance(r, open, budget), nil, alone end
    local needs = id and fitting_needs(r, limits_of_head(open, id) or '')
    if needs then note_costs(r, needs) end
    local wait = wait_of(b, need.cost, true)
    local again = wait == 0 and delays(b, need.cost, r)
    if again then wait = again - now end
    if wait == 0 and b.released >= window_limit then return 0, FULL_US end
    if wait > 0 and needs and exhausted(needs) then return turns.advance(r, open, budget), nil end
    if wait > 0 and (r.number > 0 or not may_claim_early(r, need, b)) then return 0, wait end
    if not alone then order.note_turn(b, line, score) end
    b.turns, b.changed = (b.turns + 1) % order.MOST_TURNS, true
    need.stands, need.leaves = false, alone and 'alone' or 'others'
    if wait > 0 or alone or not savings.save(r, need, b) then
      need.had = true
      savings.come_again(r, need, b, wait > 0)
    end
    local released = turns.advance(r, open, budget)
    if r.number == 0 then places.look_at_last(r) end
    return released, nil, alone and not need.stands
  end

  return turns
end)
