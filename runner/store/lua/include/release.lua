-- release: move waiting jobs whose tokens have landed from their lines to the streams.
-- ARGV: least_share
-- include: pauses, parked
local release = lazily(function(release)
  local least = tonumber(least_share) / 1000000

  local function park(id)
    if is_ticket(id) then return false end
    local state, task, rank = read_job(id, 'state', 'task', 'rank')
    if state ~= 'queued' or not task or not paused('task', task) then return false end
    return parked.add(id, task, number_in(rank))
  end
  if any_paused() then parks = park end

  -- How many jobs of a line may go that need one token of this bucket each, and the µs until there is one. None: the bucket serves
  -- again after that time. A bucket without a token grants one job if its policy fails the jobs of a spent quota.
  local function grant(bucket, alone, budget)
    -- A head needs one token at least; asking for it first saves looking at the head.
    local wait = wait_of(bucket, 1, true)
    local room = window_limit - bucket.released
    if room <= 0 then return 0, math.max(wait, FULL_US) end
    if budget <= 0 or wait > 0 and not exhausted({ { bucket = bucket.name, cost = 1 } }) then return 0, wait end
    local tokens = alone and bucket.kind and bucket.kind.available(bucket) - bucket.reserved or 1
    local granted = math.max(math.min(tokens, budget, room), 1)
    if granted > 1 and wait_of(bucket, granted, true) > 0 then granted = 1 end
    return granted, wait
  end

  -- A line with one bucket has had its turn: an emptied one leaves, one among others goes to its new place. Returns whether none is left.
  local function end_turn(line, open, bucket, score, alone)
    if not alone then order.note_turn(bucket, line, score) end
    close_line(open)
    if open.at == open.known and open.ends then
      redis.call('ZREM', lines_waiting_key(bucket.name), line)
      return alone
    elseif not alone then
      redis.call('ZADD', lines_waiting_key(bucket.name), int(order.score_of(bucket, line)), line)
    end
  end

  -- The µs until this job can go; 0 if it may.
  local function wait_for(bucket, needs)
    local wait = wait_of(bucket, needs[1].cost, true)
    if wait > 0 then return wait end
    local again = delays(bucket, needs[1].cost)
    return again and again - now or 0
  end

  -- The turn of a line with one bucket: one of its jobs, or all that may go while the line is alone. Such a line is charged nothing until it
  -- is empty, as it takes nothing from others. Returns how many jobs were released, and the µs until the bucket serves again (nil: the next
  -- turn can follow).
  local function serve_line(line, score, alone, bucket, budget)
    local open = open_line(line)
    local released, granted, wait = 0, 0, 0
    local has_claims = plans_of(bucket).claims > 0
    local pool = pool_of(line)
    while not is_over() do
      if granted == 0 then
        local room = pool and pool_lines.room_of(pool) or budget
        if room <= 0 then break end -- it steps aside at its next turn
        granted, wait = grant(bucket, alone and not has_claims, math.min(budget - released, room))
        if granted == 0 then
          close_line(open)
          return released, wait
        end
      end
      local id = next_to_go(open, granted)
      local limits = id and limits_of(id)
      local needs = limits and needs_of(limits)
      if needs and (#needs ~= 1 or needs[1].bucket ~= bucket.name) then needs = nil end
      -- One token is here and room in the window: only a job of a higher cost needs the full check.
      local lacks = needs and (needs[1].cost > 1 or wait > 0 or has_claims) and wait_for(bucket, needs) or 0
      local spent = lacks > 0 and exhausted(needs)
      if lacks > 0 and not spent then
        close_line(open)
        return released, lacks
      end
      if id then take_out(open) end
      if spent then
        fail_exhausted(id, spent)
        granted = 0
      elseif needs then
        dispatch(id, order.class_of(line) - 1, needs, line)
        released, granted = released + 1, needs[1].cost > 1 and 0 or granted - 1
        bucket.turns = (bucket.turns + 1) % order.MOST_TURNS
      elseif id and not is_ticket(id) and is_still_queued(id) then
        add_to_stream(order.class_of(line) - 1, id, line) -- its record is damaged: the claim that reads it ends it
      end
      if not alone or open.at == open.known and open.ends then return released, nil, end_turn(line, open, bucket, score, alone) end
    end
    close_line(open)
    return released
  end

  -- Whether a line whose turn it is has none, as its pool has no room. That of another pool than the default one steps aside. That of the
  -- default one goes to its next place, if there are others, and a few in a call: jobs that no worker is needed for may wait in it.
  local MOST_PASSED = 32
  local function is_passed_over(line, score, alone, bucket, passed)
    if pool_of(line) then
      if string.find(line, ';', 1, true) or not pool_lines.is_closed(line) then return false end
      pool_lines.step_aside(line, bucket.name)
      return true
    end
    if alone or passed >= MOST_PASSED or not pool_lines.is_closed(line) then return false end
    if is_ticket(redis.call('ZRANGE', line_key(line), 0, 0)[1] or '') then return false end
    order.note_turn(bucket, line, score)
    redis.call('ZADD', lines_waiting_key(bucket.name), int(order.score_of(bucket, line)), line)
    return true
  end

  -- Let the claims of the book start that can, the oldest first. Returns how many.
  local function serve_book(b, budget)
    local released = 0
    while not is_over() do
      local started = 0
      for _, r in ipairs(claims.book_of(b)) do
        local is_due = r.due - claims.TOLERANCE_US <= now or r.needs[r.at] == r[b.name] or b.kind.burst_ends or b.kind.gives_back
        if started == 0 and is_due and wait_of(b, r[b.name].cost, true, -plans_of(b).aside) == 0 and turns.can_start(r) then
          started = turns.advance(r, open_line(r.line), budget - released)
        end
      end
      released = released + started
      if started == 0 then return released end
    end
    wake_at(b.name, now)
    return released
  end

  -- The oldest claim of the book, if it waits for this bucket longest, and those whose date was far get a new date if their tokens can be
  -- there earlier: the limit was changed, or tokens came back. Those whose date has come near enter the book, which saves a look at each.
  local function serve_far(b, budget)
    local released, oldest = 0, claims.book_of(b)[1]
    if oldest and oldest.needs[oldest.at] == oldest[b.name] then
      if claims.instant_of(b, oldest[b.name].cost, {}, 0, true) + claims.TOLERANCE_US < oldest.due then claims.set_date(oldest) end
    end
    -- Without a token here all stay as they are if the oldest does, as a rule: then no other is read.
    local any = wait_of(b, 1, true) == 0
    local far, at = plans_of(b).claims > #claims.book_of(b) and claims.far_of(b, 0, any and claims.MOST_FAR or 1) or {}, 1
    while far[at] and far[at][b.name].is_far and released < budget and not is_over() do
      local r = far[at]
      if claims.can_be_earlier(b, r) then
        if not any then far, any, at = { r, unpack(claims.far_of(b, 1, claims.MOST_FAR)) }, true, 1 end
        local started = turns.can_start(r) and turns.advance(r, open_line(r.line), budget - released) or 0
        released = released + started
        if started == 0 and r.number > 0 then claims.set_date(r) end
        at = at + 1
      elseif r.due < NEVER and claims.is_near(b, r) then
        claims.enter(r)
        if any then at = at + 1 else far = claims.far_of(b, 0, 1) end
      elseif any then
        at = at + 1
      else
        break
      end
    end
    return released
  end

  -- Release up to `budget` jobs of the lines at one bucket, in their order. Returns how many, and this bucket's next wake (nil: no line waits
  -- here any more, or for an event only).
  function release.serve(bucket_name, budget)
    local bucket = load_bucket(bucket_name)
    local has_claims = bucket.kind and plans_of(bucket).claims > 0
    local released = has_claims and serve_book(bucket, budget) or 0
    if has_claims then released = released + serve_far(bucket, budget - released) end
    local has_served, is_empty, passed = false, false, 0 -- the only line there has left; lines passed over
    while not (has_served and is_over()) do
      local line, score, alone
      has_served = true
      if not is_empty then line, score, alone = order.next_line(bucket, least) end
      if not line then
        if plans_of(bucket).claims > 0 then redis.call('ZADD', WAKES, int(NEVER), bucket_name) else forget_bucket(bucket_name) end
        return released, nil
      end
      local went, wait
      if is_pooled() and is_passed_over(line, score, alone, bucket, passed) then
        went, is_empty, passed = 0, alone, passed + 1
      elseif string.find(line, ';', 1, true) then
        went, wait = 0, 0
        if released < budget then went, wait, is_empty = turns.have_turn(line, score, alone, bucket, budget - released) end
      else
        went, wait, is_empty = serve_line(line, score, alone, bucket, budget - released)
      end
      released = released + went
      if wait then
        local wake = math.min(now + wait, NEVER)
        -- What lines have set aside is for all again when their burst ends.
        if bucket.claims and plans_of(bucket).aside > 0 then wake = math.min(wake, plans_of(bucket).until_us) end
        redis.call('ZADD', WAKES, int(wake), bucket_name)
        return released, wake < NEVER and wake or nil
      end
    end
    redis.call('ZADD', WAKES, int(now), bucket_name)
    return released, now
  end

  -- Serve what is due: a bucket, or a claim at its next look.
  local function serve_member(member, budget)
    local line = looked_at_line(member)
    if not line then return release.serve(member, budget) end
    return turns.visit(line, budget), nil
  end

  -- A bucket or a line that somebody has damaged is looked at again later, and holds up no other. If it is Redis that refuses to write, it
  -- refuses that too.
  local AGAIN_US = 5000000
  local function serve_due(member, budget)
    local stands, released, wake = pcall(serve_member, member, budget)
    if stands then return released, wake end
    redis.call('ZADD', WAKES, 'XX', int(now + AGAIN_US), member)
    return 0, now + AGAIN_US
  end

  -- µs until tokens of this bucket are lost, or used late, unless it is served: a full bucket holds no more.
  local GRACE_US = 50000
  function release.lost_in(b, next_wake)
    if b.kind and b.kind.full_in then return math.max(b.kind.full_in(b), next_wake) end
    return next_wake + GRACE_US
  end

  -- Looking at a bucket costs more than releasing one of its jobs. Buckets that get no turn in this call come first in the next.
  local LEAST_QUANTUM = 4

  -- Serve the buckets that are due, each in turn and none for long. Returns how many jobs were released, the µs until the next
  -- wake (-1: no line waits, or the queue is paused; 0: more is due), how late in µs the earliest one was found, and the bucket of the next wake.
  function release.due(budget)
    local pause = paused('queue')
    if pause then return 0, pause_left(pause), 0, nil end
    local first = redis.call('ZRANGEBYSCORE', WAKES, '-inf', '(' .. int(NEVER), 'WITHSCORES', 'LIMIT', 0, 2)
    if not first[1] then return 0, -1, 0, nil end
    local late = now - tonumber(first[2])
    if late < 0 then return 0, -late, 0, first[1] end
    local second = first[4] and tonumber(first[4])
    local total = 0
    if not second or second > now then
      has_woken = false
      local released, wake = serve_due(first[1], budget)
      if not has_woken then
        local next_bucket = first[1]
        if second and (not wake or second < wake) then wake, next_bucket = second, first[3] end
        if not wake then return released, -1, late, nil end
        return released, math.max(wake - now, 0), late, next_bucket
      end
      total = released
    else
      local due = redis.call('ZRANGEBYSCORE', WAKES, '-inf', int(now), 'LIMIT', 0, budget)
      local quantum = math.max(math.ceil(budget / #due), LEAST_QUANTUM)
      for i = 1, #due do
        if total >= budget or is_over() or is_enough(3 * total) then break end -- a released job counts as three entries
        total = total + serve_due(due[i], math.min(quantum, budget - total))
      end
    end
    local again = redis.call('ZRANGEBYSCORE', WAKES, '-inf', '(' .. int(NEVER), 'WITHSCORES', 'LIMIT', 0, 1)
    if not again[1] then return total, -1, late, nil end
    return total, math.max(tonumber(again[2]) - now, 0), late, again[1]
  end

  return release
end)
