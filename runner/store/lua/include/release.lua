-- release: move waiting jobs whose tokens have landed from their lines to the streams.
-- `least_share` is the part of the releases that normal and low each get at least, in millionths.
-- ARGV: least_share

-- What a job needs, as text; false if there is no such job, nil if its key holds something else.
local limits_of = function(id) return redis.pcall('HMGET', job_key(id), 'limits')[1] end

-- The jobs at the head of a line, read some at once, and taken out of it together once they have left.
local function open_line(line)
  return { key = line_key(line), stride = stride_of(line), heads = {}, known = 0, at = 0, left = 0, ends = false }
end

local function leave(open)
  if open.left > 0 then waiting_more = waiting_more - redis.call('ZREMRANGEBYRANK', open.key, 0, open.left - 1) end
  open.left = 0
end

-- The next job and its rank; nil if there is none. `wanted`: how many may be asked for one after the other.
local function next_head(open, wanted)
  if open.at == open.known and not open.ends then
    leave(open)
    -- One more is read than may go: so it is known whether the line is empty then.
    open.heads = redis.call('ZRANGE', open.key, 0, wanted, 'WITHSCORES')
    local found = #open.heads / 2
    open.known, open.at, open.ends = math.min(found, wanted), 0, found <= wanted
  end
  if open.at == open.known then return nil end
  return open.heads[2 * open.at + 1], tonumber(open.heads[2 * open.at + 2])
end

-- The first job of the lower priority whose turn it is; nil if it is the head's. Turns are spread by the golden ratio: evenly over
-- any of the lines that take turns at this bucket too, as a plain every-20th would not be.
local GOLDEN = 0.6180339887498949
local MOST_TURNS = 1000000
local least = tonumber(least_share) / 1000000
local function first_below(open, rank, turns)
  local turn = turns * GOLDEN % 1
  if turns == 0 or turn < 1 - 2 * least then return nil end
  local from = (turn >= 1 - least and 2 or 1) * STEP
  if rank >= from then return nil end
  local first = redis.call('ZRANGEBYSCORE', open.key, int(from), int(from + STEP - 1), 'WITHSCORES', 'LIMIT', 0, 1)
  return first[1], tonumber(first[2])
end

-- The head has gone, or the one that was taken from further down: then the heads must be read again, as it may be among them.
local function has_left(open, below)
  if not below then
    open.at, open.left = open.at + 1, open.left + 1
    return
  end
  leave(open)
  waiting_more = waiting_more - redis.call('ZREM', open.key, below)
  open.known, open.at, open.ends = 0, 0, false
end

-- Release up to `budget` jobs of the lines at one bucket, in order of pass. Returns how many, this bucket's next wake
-- (nil: nobody waits here any more), and whether a line moved on to another bucket.
local MOST_STEPS = 500
local FULL_US = 100000 -- a full window is looked at again when half of it has started, and at the latest after so long
local function serve(bucket_name, budget)
  local waiting = lines_waiting_key(bucket_name)
  local bucket = load_bucket(bucket_name)
  local released, moved_on = 0, false
  local line, pass, alone, open -- the line whose turn it is; one that stands alone keeps it
  local granted, wait = 0, 0 -- how many jobs may go that need one token each, and what was asked to know it
  for _ = 1, MOST_STEPS do
    if not line then
      local head = redis.call('ZRANGE', waiting, 0, 1, 'WITHSCORES')
      line, pass, alone = head[1], tonumber(head[2]), not head[3]
      open, granted = line and open_line(line), 0
    end
    if not line then
      redis.call('ZREM', WAKES, bucket_name)
      return released, nil, moved_on
    end
    if granted == 0 then
      -- One token at least must be there for any head; asking first saves looking at it.
      wait = wait_of(bucket, 1, true)
      if wait > 0 and not exhausted({ { bucket = bucket_name, cost = 1 } }) or released >= budget or bucket.released >= window_limit then
        leave(open)
        if bucket.released >= window_limit then wait = math.max(wait, FULL_US) end
        redis.call('ZADD', WAKES, int(now + wait), bucket_name)
        return released, now + wait, moved_on
      end
      local tokens = alone and bucket.kind and bucket.kind.available(bucket) - bucket.reserved or 1
      granted = math.max(math.min(tokens, budget - released, window_limit - bucket.released), 1)
      if granted > 1 and wait_of(bucket, granted, true) > 0 then granted = 1 end
    end
    local id, rank = next_head(open, granted)
    local below, below_rank
    if id then below, below_rank = first_below(open, rank, bucket.turns) end
    if below then id, rank = below, below_rank end
    local limits = id and limits_of(id)
    local moved, next_pass = false, pass
    if limits then
      local needs = needs_of(limits)
      local lacked, lacked_wait, full
      -- That one token is here, and room in the window, is known: most jobs need no more.
      if #needs > 1 or needs[1].cost > 1 or wait > 0 or needs[1].bucket ~= bucket_name then
        if #needs > 1 then let_go(line) end
        lacked, lacked_wait = lacking(needs, true)
        full = not lacked and window_is_full(needs)
        granted = 1
      end
      local spent = lacked and exhausted(needs)
      if spent then
        has_left(open, below)
        fail_exhausted(id, spent)
        granted = 0
      elseif lacked or full then
        leave(open)
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
        has_left(open, below)
        dispatch(id, math.floor(rank / STEP), needs)
        released, granted = released + 1, granted - 1
        bucket.turns = (bucket.turns + 1) % MOST_TURNS
        next_pass = pass + open.stride -- a line that stands alone takes nothing from others, and is charged nothing
      end
    elseif id then
      has_left(open, below) -- its job is gone
    end
    if moved then
      line = nil
    elseif open.at == open.known and open.ends then
      leave(open)
      retire(line, bucket_name, next_pass)
      line = nil
    elseif not alone then
      leave(open)
      redis.call('ZADD', waiting, next_pass, line)
      line = nil
    end
  end
  if line then leave(open) end
  redis.call('ZADD', WAKES, int(now), bucket_name)
  return released, now, moved_on
end

-- µs until tokens of this bucket are lost, or used late, if nobody serves it: a bucket that fills up holds no more.
local GRACE_US = 50000
local function lost_in(b, next_wake)
  if b.kind and b.kind.full_in then return math.max(b.kind.full_in(b), next_wake) end
  return next_wake + GRACE_US
end

-- To look at a bucket costs more than to release one of its jobs; those that get no turn in this call come first in the next.
local LEAST_QUANTUM = 4

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
    local quantum = math.max(math.ceil(budget / #due), LEAST_QUANTUM)
    for i = 1, #due do
      if total >= budget then break end
      total = total + serve(due[i], math.min(quantum, budget - total))
    end
  end
  local again = redis.call('ZRANGE', WAKES, 0, 0, 'WITHSCORES')
  if not again[1] then return total, -1, late, nil end
  return total, math.max(tonumber(again[2]) - now, 0), late, again[1]
end
