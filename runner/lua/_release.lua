-- _release: move waiting jobs whose tokens have landed from their lines to the streams.
-- `least_share` is the part of the releases that normal and low each get at least, in millionths.
-- ARGV: least_share

-- The job of a line whose turn it is: its head, or at the turns of a lower priority the first of that. Turns are spread by the
-- golden ratio: evenly over any of the lines that take turns at this bucket too, as a plain every-20th would not be.
local GOLDEN = 0.6180339887498949
local MOST_TURNS = 1000000
local least = tonumber(least_share) / 1000000
local function take_first(line, bucket)
  local turn = bucket.turns * GOLDEN % 1
  if bucket.turns > 0 and turn >= 1 - 2 * least then
    local from = (turn >= 1 - least and 2 or 1) * STEP
    local first = redis.call('ZRANGEBYSCORE', line_key(line), int(from), int(from + STEP - 1), 'WITHSCORES', 'LIMIT', 0, 1)
    if first[1] then
      redis.call('ZREM', line_key(line), first[1])
      return first
    end
  end
  return redis.call('ZPOPMIN', line_key(line))
end

-- Release up to `budget` jobs of the lines at one bucket, in order of pass. Returns how many, this bucket's next wake
-- (nil: nobody waits here any more), and whether a line moved on to another bucket.
local MOST_STEPS = 500
local function serve(bucket_name, budget)
  local waiting = lines_waiting_key(bucket_name)
  local bucket = load_bucket(bucket_name)
  local released, moved_on = 0, false
  local line, pass, alone -- the line whose turn it is; one that stands alone keeps it
  for _ = 1, MOST_STEPS do
    if not line then
      local head = redis.call('ZRANGE', waiting, 0, 1, 'WITHSCORES')
      line, pass, alone = head[1], tonumber(head[2]), not head[3]
    end
    if not line then
      redis.call('ZREM', WAKES, bucket_name)
      return released, nil, moved_on
    end
    -- One token at least must be there for any head; asking first saves taking a job out and putting it back.
    local wait = wait_of(bucket, 1, true)
    if wait > 0 and not exhausted({ { bucket = bucket_name, cost = 1 } }) or released >= budget or bucket.released >= window_limit then
      redis.call('ZADD', WAKES, int(now + wait), bucket_name)
      return released, now + wait, moved_on
    end
    local popped = take_first(line, bucket)
    local id, rank = popped[1], tonumber(popped[2])
    if id then waiting_more = waiting_more - 1 end
    local limits = id and redis.call('HGET', job_key(id), 'limits')
    local moved, next_pass = false, pass
    if limits then
      local needs = needs_of(limits)
      if #needs > 1 then let_go(line) end
      local lacked, lacked_wait = lacking(needs, true)
      local full = not lacked and window_is_full(needs)
      local spent = lacked and exhausted(needs)
      if spent then
        fail_exhausted(id, spent)
      elseif lacked or full then
        waiting_more = waiting_more + redis.call('ZADD', line_key(line), int(rank), id)
        local at = lacked or full
        if at.name == bucket_name then
          redis.call('ZADD', WAKES, int(now + (lacked_wait or 0)), bucket_name)
          return released, now + (lacked_wait or 0), moved_on
        end
        local holds = lacked and hold_for(line, needs, lacked, lacked_wait)
        redis.call('ZREM', waiting, line)
        join(line, at.name, lacked_wait or 0, pass, holds)
        moved, moved_on = true, true
      else
        dispatch(id, math.floor(rank / STEP), needs)
        released = released + 1
        bucket.turns = (bucket.turns + 1) % MOST_TURNS
        next_pass = pass + stride_of(line) -- a line that stands alone takes nothing from others, and is charged nothing
      end
    end
    if moved then
      line = nil
    elseif redis.call('EXISTS', line_key(line)) == 0 then
      retire(line, bucket_name, next_pass)
      line = nil
    elseif not alone then
      redis.call('ZADD', waiting, next_pass, line)
      line = nil
    end
  end
  redis.call('ZADD', WAKES, int(now), bucket_name)
  return released, now, moved_on
end

-- µs until tokens of this bucket are lost, or used late, if nobody serves it: a bucket that fills up holds no more.
local GRACE_US = 50000
local function lost_in(b, next_wake)
  if b.kind and b.kind.full_in then return math.max(b.kind.full_in(b), next_wake) end
  return next_wake + GRACE_US
end

-- Serve the buckets that are due, each in turn and none for long. Returns how many jobs were released, the µs until the next
-- wake (-1: nobody waits; 0: more is due), how late in µs the earliest one was found, and the bucket of the next wake.
local function release(budget)
  local first = redis.call('ZRANGE', WAKES, 0, 1, 'WITHSCORES')
  if not first[1] then return 0, -1, 0, nil end
  local late = now - tonumber(first[2])
  if late < 0 then return 0, -late, 0, first[1] end
  local second = first[4] and tonumber(first[4])
  local total = 0
  if not second or second > now then
    local released, wake, moved_on = serve(first[1], budget)
    if not moved_on then
      local next_bucket = first[1]
      if second and (not wake or second < wake) then wake, next_bucket = second, first[3] end
      if not wake then return released, -1, late, nil end
      return released, math.max(wake - now, 0), late, next_bucket
    end
    total = released
  else
    local due = redis.call('ZRANGEBYSCORE', WAKES, '-inf', int(now), 'LIMIT', 0, budget)
    local quantum = math.ceil(budget / #due)
    for i = 1, #due do
      if total >= budget then break end
      total = total + serve(due[i], math.min(quantum, budget - total))
    end
  end
  local again = redis.call('ZRANGE', WAKES, 0, 0, 'WITHSCORES')
  if not again[1] then return total, -1, late, nil end
  return total, math.max(tonumber(again[2]) - now, 0), late, again[1]
end
