-- release: move waiting jobs whose tokens have landed from their lines to the streams.
-- `least_share` is the part of the releases that normal and low each get at least, in millionths.
-- ARGV: least_share

-- What a job needs, as text; false if there is no such job, nil if its key holds something else.
local limits_of = function(id) return redis.pcall('HMGET', job_key(id), 'limits')[1] end

-- The line whose turn it is at a bucket, its pass (the lowest), and whether it is alone there; nil if no line waits there.
local function next_line(waiting)
  local first = redis.call('ZRANGE', waiting, 0, 1, 'WITHSCORES')
  return first[1], tonumber(first[2]), not first[3]
end

-- The jobs at the head of a line, several read at once: `known` of them, `at` have gone, `left` of these are still to be removed
-- from Redis. ends: the line holds no more than what is known.
local function open_line(line)
  return { key = line_key(line), stride = stride_of(line), heads = nil, known = 0, at = 0, left = 0, ends = false }
end

local function leave(open)
  if open.left > 0 then waiting_more = waiting_more - redis.call('ZREMRANGEBYRANK', open.key, 0, open.left - 1) end
  open.left = 0
end

-- The job at the head of a line and its rank; nil if there is none. `granted`: how many may go one after the other.
local function next_head(open, granted)
  if open.at == open.known and not open.ends then
    leave(open)
    -- One more is read than may go: it shows whether the line is empty then.
    open.heads = redis.call('ZRANGE', open.key, 0, granted, 'WITHSCORES')
    local found = #open.heads / 2
    open.known, open.at, open.ends = math.min(found, granted), 0, found <= granted
  end
  if open.at == open.known then return nil end
  return open.heads[2 * open.at + 1], tonumber(open.heads[2 * open.at + 2])
end

-- The first job of the lower priority whose turn it is; nil if it is the turn of the head. The golden ratio spreads the turns evenly
-- for each of the lines at this bucket too; a plain every-20th would not.
local GOLDEN = 0.6180339887498949
local MOST_TURNS = 1000000
local least = tonumber(least_share) / 1000000
local function first_below(open, rank, turns)
  local place = turns * GOLDEN % 1
  if turns == 0 or place < 1 - 2 * least then return nil end
  local from = (place >= 1 - least and 2 or 1) * STEP
  if rank >= from then return nil end
  local first = redis.call('ZRANGEBYSCORE', open.key, int(from), int(from + STEP - 1), 'WITHSCORES', 'LIMIT', 0, 1)
  return first[1], tonumber(first[2])
end

-- The job that is next, its rank, and whether it was taken from further down than the head; nil if the line is empty.
local function next_job(open, granted, turns)
  local id, rank = next_head(open, granted)
  if not id then return nil end
  local below, below_rank = first_below(open, rank, turns)
  if below then return below, below_rank, true end
  return id, rank, false
end

-- Take a job out of its line. One from further down may be among the heads that were read, so they are read again.
local function take_out(open, id, is_below)
  if not is_below then
    open.at, open.left = open.at + 1, open.left + 1
    return
  end
  leave(open)
  waiting_more = waiting_more - redis.call('ZREM', open.key, id)
  open.known, open.at, open.ends = 0, 0, false
end

-- How many jobs of a line may go that need one token of this bucket each, and the µs until there is one. None: the bucket serves
-- again after that time. A bucket without a token grants one job if its policy fails the jobs of a spent quota.
local FULL_US = 100000 -- a full window is looked at again when half of it has started, and at the latest after this time
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

-- The bucket that keeps a job from going, and the µs to wait for it (nil: its window is full); nil if the job may go.
local function obstacle(line, needs)
  if #needs > 1 then let_go(line) end
  local lacked, wait = lacking(needs, true)
  if lacked then return lacked, wait end
  return window_is_full(needs)
end

-- The line goes to wait at another bucket, which its first job lacks.
local function move(line, pass, waiting, needs, lacked, wait)
  local holds = wait and hold_for(line, needs, lacked, wait)
  redis.call('ZREM', waiting, line)
  join(line, lacked.name, wait or 0, pass, holds)
end

-- A line has had its turn: an emptied one leaves, one among others goes to its new place.
local function end_turn(line, open, bucket, waiting, pass)
  leave(open)
  if open.at == open.known and open.ends then retire(line, bucket.name, pass) else redis.call('ZADD', waiting, pass, line) end
end

-- The turn of one line: one of its jobs, or all that may go while the line is alone. Such a line is charged nothing until it is empty,
-- as it takes nothing from others. Returns how many jobs were released, the µs until the bucket serves again (nil: the next turn can
-- follow), and whether the line moved on to another bucket.
local steps_left
local function serve_line(line, pass, alone, bucket, waiting, budget)
  local open = open_line(line)
  local released, granted, wait = 0, 0, 0
  while steps_left > 0 do
    steps_left = steps_left - 1
    if granted == 0 then
      granted, wait = grant(bucket, alone, budget - released)
      if granted == 0 then
        leave(open)
        return released, wait
      end
    end
    local id, rank, is_below = next_job(open, granted, bucket.turns)
    local limits = id and limits_of(id)
    local needs = limits and needs_of(limits)
    local lacked, lacked_wait
    -- One token is here and room in the window: only a job with several limits or a higher cost needs the full check.
    if needs and (#needs > 1 or needs[1].cost > 1 or wait > 0 or needs[1].bucket ~= bucket.name) then
      lacked, lacked_wait = obstacle(line, needs)
      granted = 1
    end
    local spent = lacked_wait and exhausted(needs)
    if lacked and not spent then
      leave(open)
      if lacked == bucket then return released, lacked_wait or 0 end
      move(line, pass, waiting, needs, lacked, lacked_wait)
      return released, nil, true
    end
    local next_pass = pass
    if id then take_out(open, id, is_below) end
    if spent then
      fail_exhausted(id, spent)
      granted = 0
    elseif needs then -- else its record is gone
      dispatch(id, math.floor(rank / STEP), needs)
      released, granted, next_pass = released + 1, granted - 1, pass + open.stride
      bucket.turns = (bucket.turns + 1) % MOST_TURNS
    end
    if not alone or open.at == open.known and open.ends then
      end_turn(line, open, bucket, waiting, next_pass)
      return released
    end
  end
  leave(open)
  return released
end

-- Release up to `budget` jobs of the lines at one bucket, in order of pass. Returns how many, this bucket's next wake
-- (nil: no line waits here any more), and whether a line moved on to another bucket.
local MOST_STEPS = 500
local function serve(bucket_name, budget)
  local waiting, bucket = lines_waiting_key(bucket_name), load_bucket(bucket_name)
  local released, moved_on = 0, false
  steps_left = MOST_STEPS
  while steps_left > 0 do
    local line, pass, alone = next_line(waiting)
    if not line then
      redis.call('ZREM', WAKES, bucket_name)
      return released, nil, moved_on
    end
    local went, wait, moved = serve_line(line, pass, alone, bucket, waiting, budget - released)
    released, moved_on = released + went, moved_on or moved
    if wait then
      redis.call('ZADD', WAKES, int(now + wait), bucket_name)
      return released, now + wait, moved_on
    end
  end
  redis.call('ZADD', WAKES, int(now), bucket_name)
  return released, now, moved_on
end

-- µs until tokens of this bucket are lost, or used late, unless it is served: a full bucket holds no more.
local GRACE_US = 50000
local function lost_in(b, next_wake)
  if b.kind and b.kind.full_in then return math.max(b.kind.full_in(b), next_wake) end
  return next_wake + GRACE_US
end

-- Looking at a bucket costs more than releasing one of its jobs. Buckets that get no turn in this call come first in the next.
local LEAST_QUANTUM = 4

-- Serve the buckets that are due, each in turn and none for long. Returns how many jobs were released, the µs until the next
-- wake (-1: no line waits; 0: more is due), how late in µs the earliest one was found, and the bucket of the next wake.
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
