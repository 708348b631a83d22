-- lines: jobs that lack tokens wait in the line of their buckets. A line that is not empty waits at exactly one bucket, in
-- lines:waiting:<bucket> by pass (the fair share it has used); `wakes` holds the instant at which each such bucket can next serve.
-- `window_size` bounds the released jobs of one bucket that no worker has started yet.
local WAKES = prefix .. 'wakes'
local HOLDS = prefix .. 'holds'
local PASS_MS = 60000
local window_limit = tonumber(window_size)

-- What one service adds to a line's pass: a line of weight 3 ("...@tenant*3") is served three times as often.
local strides = {}
local function stride_of(line)
  local stride = strides[line]
  if not stride then
    local weight = string.match(line, '%*(%d+)$')
    stride = weight and 1 / tonumber(weight) or 1
    strides[line] = stride
  end
  return stride
end

local function wake_at(bucket_name, due)
  note_due(due, WAKES)
  redis.call('ZADD', WAKES, 'LT', int(due), bucket_name)
end

-- Add a line to those that wait at a bucket. Its pass is kept within theirs, so that it neither starves nor is starved, however much
-- it was served elsewhere. With `first_of_all` it is served next: it holds tokens of a scarcer bucket until then.
local function join(line, bucket_name, wait, pass, first_of_all)
  local waiting = lines_waiting_key(bucket_name)
  local first = redis.call('ZRANGE', waiting, 0, 0, 'WITHSCORES')
  if first[1] then
    local lowest = tonumber(first[2])
    local highest = tonumber(redis.call('ZRANGE', waiting, -1, -1, 'WITHSCORES')[2]) + stride_of(line)
    pass = pass or tonumber(redis.call('GET', pass_key(line)) or lowest)
    pass = first_of_all and lowest or math.min(math.max(pass, lowest), highest)
  end
  redis.call('ZADD', waiting, pass or 0, line)
  wake_at(bucket_name, now + wait)
end

-- An emptied line leaves its bucket. While others wait there its pass is kept, or a line that gets one job at a time would always be first.
local function retire(line, bucket_name, pass)
  local waiting = lines_waiting_key(bucket_name)
  redis.call('ZREM', waiting, line)
  if redis.call('EXISTS', waiting) == 1 then redis.call('SET', pass_key(line), pass, 'PX', PASS_MS) end
end

-- The need whose bucket a line waits at; a line that is not empty waits at one.
local function place_of(line, needs)
  for i = 1, #needs do
    local need = needs[i]
    if redis.call('ZSCORE', lines_waiting_key(need.bucket), line) then return need end
  end
end

local function window_is_full(needs)
  for i = 1, #needs do
    local b = load_bucket(needs[i].bucket)
    if b.released >= window_limit then return b end
  end
end

-- A job whose tokens are there goes to its stream; they are reserved until a claim takes them. A ticket takes them at once, and its
-- end is announced.
local function dispatch(id, priority, needs)
  if is_ticket(id) then
    local lapse_us, watched = read_job(id, 'lapse_us', 'watched')
    for i = 1, #needs do
      local need = needs[i]
      local b = load_bucket(need.bucket)
      b.kind.take(b, need.cost, id, lapse_us and now + tonumber(lapse_us))
      b.taken = true
    end
    conclude(id, nil, 'succeeded', 'result', 'true', nil, watched)
  else
    reserve_all(needs)
    add_to_stream(priority, id)
  end
end

-- The first bucket of a spent quota whose policy is to fail jobs rather than let them wait; nil if there is none.
local function exhausted(needs)
  for i = 1, #needs do
    local need = needs[i]
    local b = load_bucket(need.bucket)
    if b.kind and b.policy.on_exhausted == 'fail' and b.ends and b.kind.wait(b, need.cost, 0) > 0 then return b end
  end
end

local function fail_exhausted(id, b)
  local task, attempt, watched = read_job(id, 'task', 'attempt', 'watched')
  local text = cjson.encode({ type = 'quota_exhausted', message = 'quota ' .. b.name .. ' is spent: ' .. b.policy.rate })
  conclude(id, task, 'failed', 'error', text, attempt, watched, failed_ttl_ms)
end

-- Put a ready job on its stream; one with limits only if no job waits before it and all its buckets can serve it.
-- Returns 'queued' (on the stream), 'waiting' (in its line) or 'failed' (its quota is spent).
local function enqueue(id, priority, limits, line, rank)
  -- So does a job whose record is damaged: the claim that reads it ends it as damaged.
  if not (limits and line and rank) then
    add_to_stream(priority, id)
    return 'queued'
  end
  local key = line_key(line)
  local needs = needs_of(limits)
  if redis.call('EXISTS', key) == 1 then
    waiting_more = waiting_more + redis.call('ZADD', key, int(rank), id)
    -- The wake was set for the old head of the line; the new head can need fewer tokens.
    local at = redis.call('ZRANK', key, id) == 0 and place_of(line, needs)
    if at then wake_at(at.bucket, now + wait_of(load_bucket(at.bucket), at.cost, true)) end
    return 'waiting'
  end
  local at, wait
  for i = 1, #needs do
    local need = needs[i]
    if redis.call('EXISTS', lines_waiting_key(need.bucket)) == 1 then
      at, wait = need.bucket, wait_of(load_bucket(need.bucket), need.cost, true)
    end
  end
  if not at then
    local b
    b, wait = lacking(needs, true)
    local spent = b and exhausted(needs)
    if spent then
      fail_exhausted(id, spent)
      return 'failed'
    end
    if not b then b, wait = window_is_full(needs), 0 end
    if not b then
      dispatch(id, priority, needs)
      return 'queued'
    end
    at = b.name
  end
  waiting_more = waiting_more + redis.call('ZADD', key, int(rank), id)
  join(line, at, wait)
  return 'waiting'
end

-- Tokens are free earlier than the wakes say: the lines that wait for them are due now.
local function wake_waiters(needs)
  for i = 1, #needs do
    local need = needs[i]
    if redis.call('EXISTS', lines_waiting_key(need.bucket)) == 1 then wake_at(need.bucket, now) end
  end
end

-- A released job does not take its tokens: they are free for others.
local function free_reservation(needs)
  unreserve_all(needs)
  wake_waiters(needs)
end

-- A line that has its turn at a scarce bucket and lacks tokens of a more plentiful one moves to wait there, and holds its token of the
-- scarce one: otherwise other lines could overtake it at each of the two for ever. A line always holds the scarcer and waits for the
-- less scarce, so no two lines wait for each other. It holds only for a wait within the scarcer bucket's own period, so no token stays
-- unused for long.
local function is_scarcer(b, other)
  local own, others = b.kind.gives_back and math.huge or b.policy.period_us, other.kind.gives_back and math.huge or other.policy.period_us
  if own == others then return b.name < other.name end
  return own > others
end

local function hold_for(line, needs, lacked, wait)
  if not lacked.kind then return false end
  local held = {}
  for i = 1, #needs do
    local need = needs[i]
    local b = load_bucket(need.bucket)
    local patience = math.max(b.kind and b.policy.period_us or 0, 1000000)
    if b ~= lacked and b.kind and is_scarcer(b, lacked) and wait <= patience and wait_of(b, need.cost, true) == 0 then
      held[#held + 1] = need
    end
  end
  if #held == 0 then return false end
  local parts = {}
  for i = 1, #held do parts[i] = held[i].bucket .. '=' .. held[i].cost end
  redis.call('HSET', HOLDS, line, table.concat(parts, ';'))
  reserve_all(held)
  return true
end

-- Free the tokens that a line holds, and return its needs of them; nil if it holds none. The caller serves this line or wakes the others.
local function let_go(line)
  local held = redis.call('HGET', HOLDS, line)
  if not held then return nil end
  redis.call('HDEL', HOLDS, line)
  unreserve_all(needs_of(held))
  return needs_of(held)
end

-- Take a job that ends out of its line, and an emptied line out of the bucket it waited at. The next job or line there can need fewer
-- tokens, so the bucket is due. A job on a stream stays there until a claim reads it: `on_stream` says that it needs no second entry.
local function withdraw(id, limits, line)
  local key = limits and line and line_key(line)
  local rank = key and redis.call('ZRANK', key, id)
  if not rank then return redis.call('HSET', job_key(id), 'on_stream', 1) end
  waiting_more = waiting_more - redis.call('ZREM', key, id)
  local needs = needs_of(limits)
  -- Not only when the head leaves: lower priorities have turns of their own.
  local at = place_of(line, needs)
  if not at then return end
  local waiting = lines_waiting_key(at.bucket)
  if redis.call('EXISTS', key) == 0 then
    redis.call('ZREM', waiting, line)
    local held = #needs > 1 and let_go(line)
    if held then wake_waiters(held) end
  end
  if redis.call('EXISTS', waiting) == 1 then wake_at(at.bucket, now) end
end

-- The entry of a job that has ended leaves its stream.
local function leave_stream(id, needs)
  redis.call('HDEL', job_key(id), 'on_stream')
  if needs then free_reservation(needs) end
end
