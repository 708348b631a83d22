-- enqueue: where a job goes that is ready, and how it leaves its line without a start.
local enqueue, wake_waiters, free_reservation, withdraw, leave_stream

do
  -- The instant at which this job can go, at the earliest, and the bucket that keeps it from going; nil if it may go at once: no line waits
  -- for one of its buckets, all its tokens are there, no claim is in the way, and there is room among the released jobs.
  local function bar(needs)
    local need = waited_for(needs)
    if need then
      local b = load_bucket(need.bucket)
      return now + wait_of(b, need.cost, true), b, true
    end
    local lacked, wait = lacking(needs, true)
    if lacked then return now + wait, lacked end
    for i = 1, #needs do
      local b = load_bucket(needs[i].bucket)
      local again = delays(b, needs[i].cost)
      if again then return again, b, true end
      if b.released >= window_limit then return now, b, true end
    end
  end

  -- The first job of a line is another one, and can need fewer tokens than the one that the wakes were set for.
  local function look_at_first(line, needs)
    if #needs == 1 then
      local b = load_bucket(needs[1].bucket)
      return wake_at(b.name, now + wait_of(b, needs[1].cost, true))
    end
    local r = records.of(line)
    local limits = limits_of(redis.call('ZRANGE', line_key(line), 0, 0)[1])
    for i, need in ipairs(r.needs) do
      local first = limits and needs_of(limits)[i]
      need.cost = first and first.cost or need.cost
      if need.stands then wake_at(need.bucket, now) end
    end
    if r.number > 0 then claims.look_at(r, now) end
  end

  -- Put a ready job on its stream; one with limits only if nothing bars it, otherwise into its line.
  -- Returns 'queued' (on the stream), 'waiting' (in its line) or 'failed' (its quota is spent).
  function enqueue(id, priority, limits, line, rank)
    -- So does a job whose record is damaged: the claim that reads it ends it as damaged.
    if not (limits and line and rank and #needs_of(limits) > 0) then
      add_to_stream(priority, id, line)
      return 'queued'
    end
    local key, needs = line_key(line), needs_of(limits)
    if redis.call('EXISTS', key) == 1 then
      waiting_more = waiting_more + redis.call('ZADD', key, int(rank), id)
      if redis.call('ZRANK', key, id) == 0 then look_at_first(line, needs) end
      return 'waiting'
    end
    local due, b, must_wait = bar(needs)
    local steps_aside = pool_of(line) and must_step_aside(line)
    if not due and not steps_aside then
      dispatch(id, priority, needs, line)
      return 'queued'
    end
    local spent = not must_wait and exhausted(needs)
    if spent then
      fail_exhausted(id, spent)
      return 'failed'
    end
    waiting_more = waiting_more + redis.call('ZADD', key, int(rank), id)
    if #needs == 1 then
      if steps_aside then pool_lines.step_aside(line, needs[1].bucket) else join(line, b, due) end
      return 'waiting'
    end
    return turns.advance(records.of(line), open_line(line), 1) > 0 and 'queued' or 'waiting'
  end

  -- Tokens of these needs are free: the lines and claims that wait for them are due now.
  function wake_waiters(needs)
    for i = 1, #needs do wake_waiting(needs[i].bucket) end
  end

  -- A released job does not take its tokens: they are free for others.
  function free_reservation(needs)
    unreserve_all(needs)
    wake_waiters(needs)
  end

  -- Take a job that ends out of its line, and an emptied line out of the orders it stood in. The next job or line there can need fewer
  -- tokens, so the bucket is due. A job on a stream stays there until a claim reads it: `on_stream` says that it needs no second entry.
  function withdraw(id, limits, line)
    local key = limits and line and line_key(line)
    local rank = key and redis.call('ZRANK', key, id)
    if not rank then
      if redis.call('HSET', job_key(id), 'on_stream', 1) == 1 then redis.pcall('INCR', prefix .. 'ended_on_stream') end
      return
    end
    waiting_more = waiting_more - redis.call('ZREM', key, id)
    local needs = needs_of(limits)
    local is_empty = redis.call('EXISTS', key) == 0
    if is_empty and pool_of(line) then pool_lines.remove(line) end
    if #needs > 1 then
      if is_empty then places.give_up(records.of(line)) elseif rank == 0 then look_at_first(line, needs) end
    elseif is_empty then
      redis.call('ZREM', lines_waiting_key(needs[1].bucket), line)
      wake_rest(load_bucket(needs[1].bucket))
    elseif rank == 0 then
      wake_at(needs[1].bucket, now)
    end
  end

  -- The entry of a job that has ended leaves its stream.
  function leave_stream(id, needs)
    if redis.call('HDEL', job_key(id), 'on_stream') == 1 then redis.pcall('INCRBY', prefix .. 'ended_on_stream', -1) end
    if needs then free_reservation(needs) end
  end
end
