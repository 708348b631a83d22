-- _release: move waiting jobs whose tokens have landed from their lines to the streams.

-- Release up to `budget` jobs of the lines at one bucket, in order of pass. Returns how many, this bucket's next wake
-- (nil: nobody waits here any more), and whether a line moved on to another bucket.
local MOST_STEPS = 500
local function serve(bucket_name, budget)
  local waiting = lines_waiting_key(bucket_name)
  local bucket = load_bucket(bucket_name)
  local released, moved_on = 0, false
  for _ = 1, MOST_STEPS do
    local head = redis.call('ZRANGE', waiting, 0, 1, 'WITHSCORES')
    local line, pass, alone = head[1], tonumber(head[2]), not head[3]
    if not line then
      redis.call('ZREM', WAKES, bucket_name)
      return released, nil, moved_on
    end
    -- One token at least must be there for any head; asking first saves taking a job out and putting it back.
    local wait = wait_of(bucket, 1, true)
    if wait > 0 or released >= budget or bucket.released >= window_limit then
      redis.call('ZADD', WAKES, int(now + wait), bucket_name)
      return released, now + wait, moved_on
    end
    local popped = redis.call('ZPOPMIN', line_key(line))
    local id, rank = popped[1], tonumber(popped[2])
    local limits = id and redis.call('HGET', job_key(id), 'limits')
    local moved = false
    if limits then
      local needs = needs_of(limits)
      local lacked, lacked_wait = lacking(needs, true)
      local full = not lacked and window_is_full(needs)
      if lacked or full then
        redis.call('ZADD', line_key(line), int(rank), id)
        local at = lacked or full
        if at.name == bucket_name then
          redis.call('ZADD', WAKES, int(now + (lacked_wait or 0)), bucket_name)
          return released, now + (lacked_wait or 0), moved_on
        end
        redis.call('ZREM', waiting, line)
        join(line, at.name, lacked_wait or 0, pass)
        moved, moved_on = true, true
      else
        add_to_stream(math.floor(rank / STEP), id)
        reserve_all(needs)
        released = released + 1
        pass = pass + STRIDE
      end
    end
    if not moved then
      if redis.call('EXISTS', line_key(line)) == 0 then
        retire(line, bucket_name, pass)
      elseif not alone then
        redis.call('ZADD', waiting, pass, line)
      end
    end
  end
  redis.call('ZADD', WAKES, int(now), bucket_name)
  return released, now, moved_on
end

-- Serve the buckets that are due, each in turn and none for long. Returns how many jobs were released, the µs until the next
-- wake (-1: nobody waits; 0: more is due), and how late in µs the earliest one was found.
local function release(budget)
  local first = redis.call('ZRANGE', WAKES, 0, 1, 'WITHSCORES')
  if not first[1] then return 0, -1, 0 end
  local late = now - tonumber(first[2])
  if late < 0 then return 0, -late, 0 end
  local second = first[4] and tonumber(first[4])
  if not second or second > now then
    local released, wake, moved_on = serve(first[1], budget)
    local next_wake = math.min(wake or math.huge, second or math.huge)
    if moved_on then
      local again = redis.call('ZRANGE', WAKES, 0, 0, 'WITHSCORES')
      next_wake = again[2] and tonumber(again[2]) or math.huge
    end
    return released, next_wake == math.huge and -1 or math.max(next_wake - now, 0), late
  end
  local total = 0
  local due = redis.call('ZRANGEBYSCORE', WAKES, '-inf', int(now), 'LIMIT', 0, budget)
  local quantum = math.ceil(budget / #due)
  for i = 1, #due do
    if total >= budget then break end
    total = total + serve(due[i], math.min(quantum, budget - total))
  end
  local again = redis.call('ZRANGE', WAKES, 0, 0, 'WITHSCORES')
  return total, again[2] and math.max(tonumber(again[2]) - now, 0) or -1, late
end
